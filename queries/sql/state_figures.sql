-- How did the visits of one state do? $1 machine ARN, $2 from, $3 to, $4 state: the columns of `figures.sql`, over the visits of the
-- executions that started in the range and have closed.
SELECT count(*) AS visits, count(*) FILTER (v.status IN (2, 3, 5)) AS failed,
    quantile_cont(v.active_us, 0.5) AS p50_us, quantile_cont(v.active_us, 0.95) AS p95_us
FROM visit v
JOIN execution e ON e.id = v.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN name s ON s.id = v.state_id
WHERE m.arn = $1 AND s.text = $4 AND e.status >= 2 AND v.active_us IS NOT NULL AND e.started_at >= $2 AND e.started_at < $3
