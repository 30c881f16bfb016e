-- Which Lambda reports may belong to these executions, and to which event? By the request id in a stored output, or by
-- the trace alone.
WITH traced AS (
    SELECT e.id, s.trace_id FROM execution e JOIN segment s ON s.execution_arn = e.arn WHERE e.id IN ($ids)
    UNION
    SELECT id, regexp_extract(record, '"trace_id":"([^"]+)"', 1) FROM execution WHERE id IN ($ids) AND record IS NOT NULL
), requested AS (
    SELECT execution_id AS id, event_id, regexp_extract(body, '"RequestId"\s*:\s*"([^"]+)"', 1) AS request_id
    FROM payload WHERE execution_id IN ($ids) AND field = 1
)
SELECT t.id, NULL AS event_id, t.trace_id, r.request_id, r.reported_at, r.duration_us, r.billed_ms, r.memory_mb,
    r.max_memory_mb, r.init_us
FROM traced t JOIN lambda_report r ON r.trace_id = t.trace_id
UNION ALL
SELECT q.id, q.event_id, NULL, r.request_id, r.reported_at, r.duration_us, r.billed_ms, r.memory_mb, r.max_memory_mb, r.init_us
FROM requested q JOIN lambda_report r ON r.request_id = q.request_id
ORDER BY ALL
