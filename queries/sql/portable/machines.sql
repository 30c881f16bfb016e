-- How is each machine doing? $1 since, $2 until; what is wrong comes first.
SELECT m.arn, m.name, m.region, m.account, max(e.workflow_type) AS workflow_type, count(*) AS executions,
    count(*) FILTER (WHERE e.status <= 1) AS running,
    count(*) FILTER (WHERE e.status > 2) AS failed,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.active_us) FILTER (WHERE e.status >= 2) AS p50_us,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY e.active_us) FILTER (WHERE e.status >= 2) AS p95_us,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY e.active_us) FILTER (WHERE e.status >= 2) AS p99_us,
    min(e.started_at) AS first_at, max(e.started_at) AS last_at,
    CAST(sum(e.billed_transitions) AS BIGINT) AS transitions,
    count(*) FILTER (WHERE e.complete) AS complete,
    count(*) FILTER (WHERE e.status >= 2) AS closed
FROM execution e
JOIN machine m ON m.id = e.machine_id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY m.arn, m.name, m.region, m.account
ORDER BY count(*) FILTER (WHERE e.status > 2) / count(*) DESC, executions DESC, m.arn
