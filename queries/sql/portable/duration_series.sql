-- How did a machine's executions do over time? $1 machine ARN, $2 seconds of a span, $3 since, $4 until, $5 where a span begins. A row per span in
-- which any started.
SELECT CAST(micros_between(TIMESTAMP '1970-01-01 00:00:00', $5)
        + floor(micros_between($5, e.started_at) / ($2 * 1000000)) * $2 * 1000000 AS BIGINT) AS from_us,
    count(*) AS executions, percentile_cont(0.5) WITHIN GROUP (ORDER BY e.active_us) AS p50_us,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY e.active_us) AS p95_us, count(*) FILTER (WHERE e.status >= 3) AS failed
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE m.arn = $1 AND e.status >= 2 AND e.active_us IS NOT NULL
    AND ($3 IS NULL OR e.started_at >= $3) AND ($4 IS NULL OR e.started_at < $4)
GROUP BY ALL
ORDER BY from_us
