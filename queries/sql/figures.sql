-- How did a state machine's executions of a range do? $1 machine ARN, $2 from, $3 to. One row over those that have closed and whose
-- duration is known: how many, how many failed, exact percentiles.
SELECT count(*) AS executions, count(*) FILTER (e.status > 2) AS failed,
    quantile_cont(e.active_us, 0.5) AS p50_us, quantile_cont(e.active_us, 0.95) AS p95_us
FROM execution e
JOIN machine m ON m.id = e.machine_id
WHERE m.arn = $1 AND e.status >= 2 AND e.active_us IS NOT NULL AND e.started_at >= $2 AND e.started_at < $3
