-- How many executions does a machine have, how many events the longest history, and is it Express? $1 machine ARN.
SELECT count(*), coalesce(max(e.n_events), 0), coalesce(max(e.workflow_type), 0), min(e.started_at), max(e.started_at)
FROM execution e JOIN machine m ON m.id = e.machine_id WHERE m.arn = $1
