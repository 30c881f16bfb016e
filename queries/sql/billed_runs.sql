-- How long did executions run, in billed units? $1 machine ARN or NULL, $2 since, $3 until, $4 days on which another price book
-- begins. Equal ones share a row.
SELECT m.arn, priced_month(e.started_at, $4) AS month,
    coalesce(e.billed_ms, greatest(ceil(e.duration_us / 100000), 1)::BIGINT * 100) AS billed_ms,
    e.billed_memory_mb, coalesce(e.payload_mb, 0)::BIGINT AS payload_mb, count(*) AS executions
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at IS NOT NULL AND e.duration_us IS NOT NULL
    AND ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
GROUP BY ALL
ORDER BY ALL
