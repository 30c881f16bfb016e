-- Which executions can have billed transitions in a span of time, in the order of their starts? $1 account (Standard ones) or NULL, $2 machine ARN
-- or NULL, $3 from, $4 to, $5 whether starts are billed too, $6 how many, $7 after how many.
SELECT e.id, m.arn, e.started_at, e.billed_transitions::BIGINT AS billed
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE ($1::VARCHAR IS NULL OR (m.account = $1 AND e.workflow_type = 0)) AND ($2::VARCHAR IS NULL OR m.arn = $2)
    AND (e.billed_transitions > 0 OR $5) AND (e.started_at IS NULL OR e.started_at < $4) AND (e.stopped_at IS NULL OR e.stopped_at >= $3)
ORDER BY e.started_at NULLS FIRST, e.id
LIMIT $6 OFFSET $7
