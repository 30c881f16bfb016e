-- What did each machine use by the way that its executions took through its states? $1 since, $2 until.
WITH ways AS (
    SELECT v.execution_id, string_agg(s.text, ' → ' ORDER BY v.visit_id) AS way
    FROM (
        SELECT execution_id, state_id, min(visit_id) AS visit_id FROM visit WHERE parent_id IS NULL GROUP BY execution_id, state_id
    ) v
    JOIN name s ON s.id = v.state_id
    GROUP BY v.execution_id
)
SELECT m.arn, w.way AS key, count(*) AS executions, sum(e.billed_transitions)::BIGINT AS transitions,
    coalesce(sum(coalesce(e.billed_ms, e.express_ms) * coalesce(e.billed_memory_mb, 64)), 0)::BIGINT AS mb_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN ways w ON w.execution_id = e.id
WHERE ($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2)
GROUP BY ALL
ORDER BY m.arn, key NULLS LAST
