-- How many transitions did the executions bill that lie within one month, by month? $1 machine ARN or NULL, $2 since, $3 until (by
-- start), $4 days on which another price book begins: behind a `#` stands the place of the book. `spanning_transitions.sql` has the rest.
SELECT m.arn, priced_month(coalesce(e.started_at, e.stopped_at), $4) AS month, CAST(sum(e.billed_transitions) AS BIGINT) AS transitions
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
    AND e.stopped_at IS NOT NULL
    AND priced_month(coalesce(e.started_at, e.stopped_at), $4) = priced_month(e.stopped_at, $4)
GROUP BY ALL
ORDER BY arn, month
