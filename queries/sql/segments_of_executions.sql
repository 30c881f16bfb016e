-- Which segment documents belong to the traces that these executions are part of?
WITH own AS (
    SELECT DISTINCT e.id, s.trace_id FROM execution e JOIN segment s ON s.execution_arn = e.arn WHERE e.id IN ($ids)
)
SELECT own.id, s.trace_id, s.document
FROM own JOIN segment s ON s.trace_id = own.trace_id
ORDER BY own.id, s.started_at, s.segment_id
