-- What did each machine use by $3? $1 since, $2 until; $3 one of day, error, version, account, region.
SELECT m.arn, CASE $3
        WHEN 'day' THEN substr(CAST(e.started_at AS STRING), 1, 10) WHEN 'error' THEN x.text WHEN 'version' THEN e.version_arn
        WHEN 'account' THEN m.account ELSE m.region END AS key,
    count(*) AS executions, CAST(sum(e.billed_transitions) AS BIGINT) AS transitions,
    CAST(coalesce(sum(coalesce(e.billed_ms, e.express_ms) * coalesce(e.billed_memory_mb, 64)), 0) AS BIGINT) AS mb_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = e.error_id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY m.arn, key NULLS LAST
