-- How is each machine doing, without reading every duration? What is wrong comes first; the columns are those of `machines.sql`,
-- and the percentiles are filled in from the histograms.
WITH runs AS (
    SELECT machine_id, sum(executions)::BIGINT AS executions, coalesce(sum(executions) FILTER (WHERE status <= 1), 0)::BIGINT AS running,
        coalesce(sum(executions) FILTER (WHERE status > 2), 0)::BIGINT AS failed, sum(transitions)::BIGINT AS transitions,
        sum(complete)::BIGINT AS complete, coalesce(sum(executions) FILTER (WHERE status >= 2), 0)::BIGINT AS closed
    FROM run_rollup GROUP BY machine_id HAVING sum(executions) > 0
), spans AS (
    SELECT machine_id, max(workflow_type) AS workflow_type, min(started_at) AS first_at, max(started_at) AS last_at
    FROM execution GROUP BY machine_id
)
SELECT m.arn, m.name, m.region, m.account, s.workflow_type, r.executions, r.running, r.failed, NULL AS p50_us,
    NULL AS p95_us, NULL AS p99_us, s.first_at, s.last_at, r.transitions,
    r.complete, r.closed
FROM runs r JOIN machine m ON m.id = r.machine_id JOIN spans s ON s.machine_id = r.machine_id
ORDER BY r.failed / r.executions DESC, r.executions DESC, m.arn
