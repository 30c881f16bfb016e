-- How many transitions did each state bill, and how long was it on critical paths? $1 machine ARN or NULL, $2 since, $3 until, $4 days on which
-- another price book begins (the period is that of the start of the execution).
SELECT m.arn, s.text AS state, priced_month(coalesce(e.started_at, e.stopped_at), $4) AS period,
    CAST(count(*) + sum(v.retries) + sum(v.rerun) AS BIGINT) AS transitions, CAST(sum(v.retries) AS BIGINT) AS retries,
    CAST(sum(v.critical_us) AS BIGINT) AS critical_us
FROM visit v
JOIN execution e ON e.id = v.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN name s ON s.id = v.state_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
GROUP BY m.arn, s.text, period
ORDER BY m.arn, transitions DESC, state, period
