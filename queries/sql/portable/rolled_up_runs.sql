-- How many executions closed, and how much path time is there to share, by whole hours? $1 machine ARN or NULL, $2 first hour,
-- $3 the hour after the last; NULL leaves a condition out.
SELECT m.arn, CAST(sum(r.executions) FILTER (WHERE r.status >= 2) AS BIGINT) AS executions, CAST(sum(r.path_us) AS BIGINT) AS path_us,
    CAST(sum(r.complete) FILTER (WHERE r.status >= 2) AS BIGINT) AS complete
FROM run_rollup r JOIN machine m ON m.id = r.machine_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR r.hour >= $2) AND ($3 IS NULL OR r.hour < $3)
GROUP BY m.arn
HAVING sum(r.executions) FILTER (WHERE r.status >= 2) > 0
ORDER BY m.arn
