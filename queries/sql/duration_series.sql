-- How did a machine's executions do over time? $1 machine ARN, $2 seconds of a span, $3 since, $4 until, $5 where a span begins. A row per span in
-- which any started.
SELECT epoch_us(time_bucket(to_seconds($2::BIGINT), e.started_at, $5::TIMESTAMP)) AS from_us, count(*) AS executions,
    quantile_cont(e.duration_us, 0.5) AS p50_us, quantile_cont(e.duration_us, 0.95) AS p95_us,
    count(*) FILTER (WHERE e.status >= 3) AS failed
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE m.arn = $1 AND e.status >= 2 AND e.duration_us IS NOT NULL
    AND ($3 IS NULL OR e.started_at >= $3) AND ($4 IS NULL OR e.started_at < $4)
GROUP BY ALL
ORDER BY from_us
