-- Of how many executions is the start not known, so that no statistic by time can place them? $1 machine ARN or NULL.
SELECT count(*) FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at IS NULL AND ($1 IS NULL OR m.arn = $1)
