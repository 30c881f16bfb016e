-- How long did executions run, in billed units? $1 machine ARN or NULL, $2 since, $3 until, $4 days on which another price book
-- begins. Equal ones share a row.
SELECT m.arn, priced_month(e.started_at, $4) AS month,
    CAST(coalesce(e.billed_ms, e.express_ms) AS BIGINT) AS billed_ms,
    e.billed_memory_mb, CAST(coalesce(e.payload_mb, 0) AS BIGINT) AS payload_mb, count(*) AS executions
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at IS NOT NULL AND coalesce(e.billed_ms, e.express_ms) IS NOT NULL
    AND ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
GROUP BY ALL
ORDER BY arn, month, billed_ms, billed_memory_mb NULLS LAST, payload_mb
