-- How many transitions did the executions bill that began and ended within one day, by that day? $1 since (by start), $2 until (by start), $3 until
-- (by stop). `parts_of_days.sql` has the others.
SELECT m.arn, substr(CAST(e.started_at AS STRING), 1, 10) AS day, count(*) AS executions,
    CAST(sum(e.billed_transitions) AS BIGINT) AS transitions
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.workflow_type = 0 AND substr(CAST(e.started_at AS STRING), 1, 10) = substr(CAST(e.stopped_at AS STRING), 1, 10)
    AND ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2) AND ($3 IS NULL OR e.stopped_at < $3)
GROUP BY ALL
ORDER BY m.arn, day
