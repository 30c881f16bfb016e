-- What is kept of the executions of a machine to compare them? $1 machine ARN, $2 since, $3 until, $4 version or alias, $5 limit;
-- NULL leaves a condition out. The last column tells whether a trace or a Lambda report may know more of it.
SELECT e.id, e.arn, e.workflow_type, e.status, e.started_at, e.active_us, x.text, e.version_arn, e.billed_transitions, h.sums,
    e.arn IN (SELECT execution_arn FROM segment)
        OR ((SELECT count(*) FROM lambda_report) > 0
            AND (e.record IS NOT NULL OR e.id IN (SELECT execution_id FROM payload WHERE field = 1)))
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = e.error_id
LEFT JOIN history h ON h.execution_id = e.id
WHERE ($1 IS NULL OR m.arn = $1)
    AND ($2 IS NULL OR e.started_at >= $2)
    AND ($3 IS NULL OR e.started_at < $3)
    AND ($4 IS NULL OR e.version_arn = $4 OR ends_with(e.version_arn, ':' || $4))
ORDER BY e.started_at DESC NULLS LAST, e.arn
LIMIT $5
