-- How long did visits and executions take, in buckets? Without a state, of the executions. $1 machine ARN or NULL, $2 first
-- hour, $3 the hour after the last; NULL leaves a condition out.
SELECT m.arn, s.text AS state, h.bucket, CAST(sum(h.visits) AS BIGINT) AS n
FROM state_histogram h JOIN machine m ON m.id = h.machine_id JOIN name s ON s.id = h.state_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR h.hour >= $2) AND ($3 IS NULL OR h.hour < $3)
GROUP BY m.arn, s.text, h.bucket HAVING sum(h.visits) > 0
UNION ALL
SELECT m.arn, CAST(NULL AS STRING), h.bucket, CAST(sum(h.executions) AS BIGINT)
FROM run_histogram h JOIN machine m ON m.id = h.machine_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR h.hour >= $2) AND ($3 IS NULL OR h.hour < $3)
GROUP BY m.arn, h.bucket HAVING sum(h.executions) > 0
ORDER BY arn, state NULLS LAST, bucket
