-- How many executions does a machine have, how many events the longest history, and is it Express? $1 machine ARN. The type is that of
-- its executions, or else what a description says.
SELECT count(*), coalesce(max(e.n_events), 0),
    coalesce(max(e.workflow_type), (SELECT max((workflow_type = 'EXPRESS')::INTEGER) FROM definition WHERE machine_arn = $1)),
    min(e.started_at), max(e.started_at)
FROM execution e JOIN machine m ON m.id = e.machine_id WHERE m.arn = $1
