-- What did each machine's executions use by the way that they took through its states? As `metered.sql`; $1 since, $2 until, $3 is not used,
-- $4 and $5 as there.
WITH ways AS (
    SELECT v.execution_id, string_agg(s.text, ' → ' ORDER BY v.visit_id) AS way
    FROM (
        SELECT execution_id, state_id, min(visit_id) AS visit_id FROM visit WHERE parent_id IS NULL GROUP BY execution_id, state_id
    ) v
    JOIN name s ON s.id = v.state_id
    GROUP BY v.execution_id
)
SELECT m.arn, w.way AS key, priced_month(coalesce(e.started_at, e.stopped_at), $4) AS period, e.billed_memory_mb,
    coalesce(e.payload_mb, 0)::BIGINT AS payload_mb, count(*) AS executions,
    count(coalesce(e.billed_ms, e.express_ms)) AS timed, sum(e.billed_transitions)::BIGINT AS transitions, sum(e.runs)::BIGINT AS requests,
    coalesce(sum(ceil(coalesce(e.billed_ms, e.express_ms) / 100)::BIGINT * 100), 0)::BIGINT AS billed_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN ways w ON w.execution_id = e.id
WHERE (($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2) OR $5 AND e.started_at IS NULL) AND $3 IS NOT NULL
GROUP BY ALL
ORDER BY m.arn, key NULLS LAST, period NULLS LAST, e.billed_memory_mb NULLS LAST, payload_mb
