-- How is each machine doing, without reading more of every execution than its type? What is wrong comes first; the columns are those of
-- `machines.sql`, the percentiles are filled in from the histograms, and first and last are whole hours.
WITH runs AS (
    SELECT machine_id, sum(executions)::BIGINT AS executions, coalesce(sum(executions) FILTER (WHERE status <= 1), 0)::BIGINT AS running,
        coalesce(sum(executions) FILTER (WHERE status > 2), 0)::BIGINT AS failed, sum(transitions)::BIGINT AS transitions,
        sum(complete)::BIGINT AS complete, coalesce(sum(executions) FILTER (WHERE status >= 2), 0)::BIGINT AS closed,
        make_timestamp(min(hour)::BIGINT * 3600000000) AS first_at, make_timestamp(max(hour)::BIGINT * 3600000000) AS last_at
    FROM run_rollup GROUP BY machine_id HAVING sum(executions) > 0
), types AS (
    SELECT machine_id, max(workflow_type) AS workflow_type FROM execution GROUP BY machine_id
)
SELECT m.arn, m.name, m.region, m.account, t.workflow_type, r.executions, r.running, r.failed, NULL AS p50_us,
    NULL AS p95_us, NULL AS p99_us, r.first_at, r.last_at, r.transitions,
    r.complete, r.closed
FROM runs r JOIN machine m ON m.id = r.machine_id JOIN types t ON t.machine_id = r.machine_id
ORDER BY r.failed / r.executions DESC, r.executions DESC, m.arn
