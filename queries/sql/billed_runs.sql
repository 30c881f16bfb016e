-- How long did executions run, in billed units? $1 machine ARN or NULL, $2 since, $3 until, $4 days on which another price book
-- begins. Equal ones share a row.
-- What the documented estimate of memory adds for payloads: the largest input times the branches and items that got one, in
-- whole megabytes, where inputs are kept.
WITH inputs AS (
    SELECT execution_id, max(length(body)) AS bytes FROM payload WHERE field = 0 GROUP BY execution_id
),
steps AS (
    SELECT v.execution_id, count(DISTINCT (v.parent_id, v.branch, v.iteration)) AS n
    FROM visit v WHERE v.parent_id IS NOT NULL AND v.execution_id IN (SELECT execution_id FROM inputs) GROUP BY v.execution_id
)
SELECT m.arn, priced_month(e.started_at, $4) AS month,
    coalesce(e.billed_ms, greatest(ceil(e.duration_us / 100000), 1)::BIGINT * 100) AS billed_ms,
    e.billed_memory_mb, coalesce((i.bytes * s.n + 999999) // 1000000, 0)::BIGINT AS payload_mb, count(*) AS executions
FROM execution e JOIN machine m ON m.id = e.machine_id
LEFT JOIN inputs i ON i.execution_id = e.id
LEFT JOIN steps s ON s.execution_id = e.id
WHERE e.started_at IS NOT NULL AND e.duration_us IS NOT NULL
    AND ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
GROUP BY ALL
ORDER BY ALL
