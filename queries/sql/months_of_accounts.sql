-- From when to when do the transitions of the Standard executions reach that started in a range? $1 since, $2 until. An execution that has not
-- stopped reaches as far as anything stored does.
SELECT m.account, min(coalesce(e.started_at, e.stopped_at)) AS first_at,
    greatest(max(coalesce(e.started_at, e.stopped_at)), max(coalesce(e.stopped_at, (SELECT max(greatest(started_at, coalesce(stopped_at, started_at))) FROM execution)))) AS last_at
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.workflow_type = 0 AND ($1::TIMESTAMP IS NULL OR e.started_at >= $1) AND ($2::TIMESTAMP IS NULL OR e.started_at < $2)
GROUP BY m.account
HAVING min(coalesce(e.started_at, e.stopped_at)) IS NOT NULL
ORDER BY m.account
