-- What else do a machine's executions cost? Log bytes by month, and traces and Lambda time found in X-Ray and REPORT lines.
-- $1 since, $2 until.
WITH runs AS (
    SELECT e.id, e.arn, e.machine_id, e.log_bytes, strftime(e.started_at, '%Y-%m') AS month FROM execution e
    WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
),
traced AS (
    SELECT DISTINCT r.machine_id, r.month, s.trace_id FROM segment s JOIN runs r ON r.arn = s.execution_arn
    WHERE s.trace_id IS NOT NULL
),
traces AS (SELECT machine_id, month, count(*) AS traces FROM traced GROUP BY ALL),
-- An invocation is found by its trace, or by the request id in a stored output; once, where both tell.
invoked AS (
    SELECT t.machine_id, t.month, l.request_id, l.billed_ms, l.memory_mb
    FROM traced t JOIN lambda_report l ON l.trace_id = t.trace_id
    UNION
    SELECT r.machine_id, r.month, l.request_id, l.billed_ms, l.memory_mb
    FROM payload p JOIN runs r ON r.id = p.execution_id
    JOIN lambda_report l ON l.request_id = regexp_extract(p.body, '"RequestId"\s*:\s*"([^"]+)"', 1)
    WHERE p.field = 1
),
lambdas AS (
    SELECT machine_id, month, count(*) AS invocations, sum(billed_ms * memory_mb)::BIGINT AS mb_ms FROM invoked GROUP BY ALL
),
logs AS (SELECT machine_id, month, coalesce(sum(log_bytes), 0)::BIGINT AS log_bytes FROM runs GROUP BY ALL)
SELECT m.arn, coalesce(l.month, ''), l.log_bytes, t.traces, b.invocations, b.mb_ms
FROM logs l
JOIN machine m ON m.id = l.machine_id
LEFT JOIN traces t ON t.machine_id = l.machine_id AND t.month = l.month
LEFT JOIN lambdas b ON b.machine_id = l.machine_id AND b.month = l.month
ORDER BY ALL
