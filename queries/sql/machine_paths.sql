-- How many executions closed, how long did they take, and how much path time is there to share? $1 machine ARN or NULL,
-- $2 since, $3 until, $4 ids of executions with commas between or NULL.
SELECT m.arn, count(*) AS executions, quantile_cont(e.duration_us, 0.5), quantile_cont(e.duration_us, 0.95),
    quantile_cont(e.duration_us, 0.99), coalesce(sum(e.duration_us) FILTER (WHERE e.complete), 0)::BIGINT AS path_us,
    count(*) FILTER (WHERE e.complete) AS complete
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.status >= 2 AND ($1 IS NULL OR m.arn = $1)
    AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
    AND ($4 IS NULL OR e.id IN (SELECT unnest(string_split($4, ','))::UBIGINT))
GROUP BY m.arn
ORDER BY m.arn
