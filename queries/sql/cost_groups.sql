-- What did each machine use by $3? $1 since, $2 until; $3 one of day, error, version, account, region, path.
WITH ways AS (
    SELECT v.execution_id, string_agg(s.text, ' → ' ORDER BY v.visit_id) AS way
    FROM (
        SELECT execution_id, state_id, min(visit_id) AS visit_id FROM visit
        WHERE parent_id IS NULL AND $3 = 'path' GROUP BY execution_id, state_id
    ) v
    JOIN name s ON s.id = v.state_id
    GROUP BY v.execution_id
)
SELECT m.arn, CASE $3
        WHEN 'day' THEN strftime(e.started_at, '%Y-%m-%d') WHEN 'error' THEN x.text WHEN 'version' THEN e.version_arn
        WHEN 'account' THEN m.account WHEN 'region' THEN m.region ELSE w.way END AS key,
    count(*) AS executions, sum(e.billed_transitions)::BIGINT AS transitions,
    coalesce(sum(coalesce(e.billed_ms, greatest(ceil(e.duration_us / 100000), 1)::BIGINT * 100) * coalesce(e.billed_memory_mb, 64)), 0)::BIGINT AS mb_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = e.error_id
LEFT JOIN ways w ON w.execution_id = e.id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY m.arn, key NULLS LAST
