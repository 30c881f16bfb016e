-- How far is each execution known? $1: finished ones that stopped before are left out. Of one that is not complete, the event
-- up to which nothing is missing: all of its events where their count is the highest id, none otherwise.
SELECT e.arn_hash, e.n_events AS upto, coalesce(e.redrives, 0) AS redrives, true AS complete, NULL AS arn, NULL AS machine_arn,
    NULL AS started_at
FROM execution e
WHERE e.complete AND ($1 IS NULL OR e.stopped_at >= $1)
UNION ALL
SELECT e.arn_hash,
    CASE WHEN list_max(list_transform(events_of(h.events), lambda it: it.event_id)) = e.n_events THEN e.n_events ELSE 0 END,
    coalesce(e.redrives, 0), false, e.arn, m.arn, e.started_at
FROM execution e JOIN machine m ON m.id = e.machine_id LEFT JOIN history h ON h.execution_id = e.id
WHERE NOT e.complete AND e.status <= 1
