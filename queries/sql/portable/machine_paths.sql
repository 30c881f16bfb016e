-- How many executions closed, how long did they take, and how much path time is there to share? $1 machine ARN or NULL,
-- $2 since, $3 until; a condition on the executions is put in.
SELECT m.arn, count(*) AS executions, percentile_cont(0.5) WITHIN GROUP (ORDER BY e.active_us) AS p50_us,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY e.active_us) AS p95_us,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY e.active_us) AS p99_us,
    CAST(coalesce(sum(e.active_us) FILTER (WHERE e.complete), 0) AS BIGINT) AS path_us,
    count(*) FILTER (WHERE e.complete) AS complete
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.status >= 2 AND ($1 IS NULL OR m.arn = $1)
    AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3) AND $chosen
GROUP BY m.arn
ORDER BY m.arn
