-- How long were a machine's executions in each state over time? $1 machine ARN, $2 seconds of a span, $3 since, $4 until, $5 where a span
-- begins. A row per state and span of starts in which any visited it, of executions whose start is known; Parallels and Maps are left out, since what is inside them tells more.
SELECT s.text AS state, epoch_us(time_bucket(to_seconds($2::BIGINT), e.started_at, $5::TIMESTAMP)) AS from_us,
    count(*) AS visits, quantile_cont(v.active_us, 0.5) AS p50_us, quantile_cont(v.active_us, 0.95) AS p95_us,
    count(*) FILTER (v.status IN (2, 3, 5)) AS failed
FROM visit v
JOIN execution e ON e.id = v.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN name s ON s.id = v.state_id
WHERE m.arn = $1 AND e.started_at IS NOT NULL AND e.status >= 2 AND v.active_us IS NOT NULL AND v.state_type < 6
    AND ($3 IS NULL OR e.started_at >= $3) AND ($4 IS NULL OR e.started_at < $4)
GROUP BY ALL
ORDER BY state, from_us
