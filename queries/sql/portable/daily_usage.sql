-- What did each machine use in each whole day, counted back from $2? $1 since or NULL. Day 0 is the last one.
SELECT m.arn, CAST(floor((micros_between(e.started_at, $2) - 1) / 86400000000) AS BIGINT) AS day, count(*) AS executions,
    CAST(sum(e.billed_transitions) AS BIGINT) AS transitions,
    CAST(sum(coalesce(e.billed_ms, e.express_ms) * coalesce(e.billed_memory_mb, 64)) AS BIGINT) AS mb_ms
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at < $2 AND ($1 IS NULL OR e.started_at >= $1)
GROUP BY ALL
ORDER BY arn, day
