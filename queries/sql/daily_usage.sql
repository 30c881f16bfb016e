-- What did each machine use in each whole day, counted back from $2? $1 since or NULL. Day 0 is the last one.
SELECT m.arn, (date_diff('microsecond', e.started_at, $2::TIMESTAMP) - 1) // 86400000000 AS day, count(*) AS executions,
    sum(e.billed_transitions)::BIGINT AS transitions,
    sum(coalesce(e.billed_ms, greatest(ceil(e.duration_us / 100000), 1)::BIGINT * 100) * coalesce(e.billed_memory_mb, 64))::BIGINT AS mb_ms
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at < $2::TIMESTAMP AND ($1 IS NULL OR e.started_at >= $1)
GROUP BY ALL
ORDER BY ALL
