-- How is each machine doing? $1 since, $2 until; what is wrong comes first.
SELECT m.arn, m.name, m.region, m.account, max(e.workflow_type) AS workflow_type, count(*) AS executions,
    count(*) FILTER (WHERE e.status <= 1) AS running,
    count(*) FILTER (WHERE e.status > 2) AS failed,
    quantile_cont(e.duration_us, 0.5) FILTER (WHERE e.status >= 2) AS p50_us,
    quantile_cont(e.duration_us, 0.95) FILTER (WHERE e.status >= 2) AS p95_us,
    quantile_cont(e.duration_us, 0.99) FILTER (WHERE e.status >= 2) AS p99_us,
    min(e.started_at) AS first_at, max(e.started_at) AS last_at,
    sum(e.billed_transitions)::UBIGINT AS transitions,
    count(*) FILTER (WHERE e.complete) AS complete,
    count(*) FILTER (WHERE e.status >= 2) AS closed
FROM execution e
JOIN machine m ON m.id = e.machine_id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY failed / executions DESC, executions DESC, m.arn
