-- How often did the service throttle a machine in two ranges? $1 machine ARN, $2 and $3 the baseline, $4 and $5 the incident: hours
-- that reach into a range count as a whole. NULL where no hour is known.
SELECT
    sum(value) FILTER (measured_at + to_seconds(coalesce(period_s, 60)) > $2 AND measured_at < $3) AS baseline,
    sum(value) FILTER (measured_at + to_seconds(coalesce(period_s, 60)) > $4 AND measured_at < $5) AS incident
FROM metric
WHERE machine_arn = $1 AND name = 'ExecutionThrottled'
