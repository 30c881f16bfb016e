-- Of which Express state machines are only failures logged, so that it is unknown how many executions succeeded? Those whose log level
-- is ERROR or FATAL, and where no level is known, those of which no execution is known to have succeeded or is known in full. With them what
-- CloudWatch counted, if it did: $1 since, $2 until; hours that begin in the range.
WITH express AS (
    SELECT machine_id, count(*) FILTER (status = 2 OR complete) AS seen_in_full FROM execution
    GROUP BY machine_id HAVING max(workflow_type) = 1
), settings AS (
    SELECT machine_arn, arg_max(log_level, seen_at) AS log_level FROM machine_settings GROUP BY machine_arn
), counted AS (
    SELECT machine_arn, sum(value) FILTER (name = 'ExecutionsStarted') AS started,
        sum(value) FILTER (name IN ('ExecutionsFailed', 'ExecutionsTimedOut', 'ExecutionsAborted')) AS failed
    FROM metric
    WHERE coalesce(period_s, 3600) = 3600 AND ($1 IS NULL OR measured_at >= date_trunc('hour', $1::TIMESTAMP)) AND ($2 IS NULL OR measured_at < $2)
    GROUP BY machine_arn
)
SELECT m.arn, c.started::BIGINT AS started, coalesce(c.failed, 0)::BIGINT AS failed
FROM express e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN settings s ON s.machine_arn = m.arn
LEFT JOIN counted c ON c.machine_arn = m.arn
WHERE CASE WHEN s.log_level IS NULL THEN e.seen_in_full = 0 ELSE s.log_level IN ('ERROR', 'FATAL') END
