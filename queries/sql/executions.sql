-- Which executions are there? Newest first; $1 machine ARN, $2 status code, $3 since, $4 until, $5 limit, $6 ARN or name
-- or a part of the ARN, $7 an error that it met or ended with, $8 version or alias, $9 a text in the ARN, in such an error or in a kept payload, $10 the outermost
-- states in the order in which they were entered first, $11 and $12 path and value of a business key, $13 the Map Run that
-- it is a child of; NULL leaves a condition out. $14 turns the order round; $15 takes executions from all over
-- the range instead of the newest, always the same ones.
WITH ways AS (
    SELECT v.execution_id, string_agg(s.text, ' → ' ORDER BY v.visit_id) AS way
    FROM (
        SELECT execution_id, state_id, min(visit_id) AS visit_id FROM visit
        WHERE parent_id IS NULL AND $10 IS NOT NULL GROUP BY execution_id, state_id
    ) v
    JOIN name s ON s.id = v.state_id
    GROUP BY v.execution_id
), started AS (
    SELECT c.child_arn, min(pe.arn) AS parent_arn FROM child c JOIN execution pe ON pe.id = c.execution_id GROUP BY c.child_arn
)
SELECT e.id, e.arn, m.arn, m.name, e.name, e.workflow_type, e.status, e.started_at, e.stopped_at, e.duration_us, e.active_us, e.express_ms, e.runs,
    e.n_events, e.complete, e.gaps, e.billed_transitions, e.entered, e.retries, e.redrives, e.rerun, e.map_children, x.text,
    e.version_arn, e.map_run_arn, coalesce(p.parent_arn, r.parent_arn), e.billed_ms, e.billed_memory_mb, m.region
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = e.error_id
LEFT JOIN started p ON p.child_arn = e.arn
LEFT JOIN started r ON r.child_arn = e.map_run_arn
WHERE ($1 IS NULL OR m.arn = $1)
    AND ($2 IS NULL OR e.status = $2)
    AND ($3 IS NULL OR e.started_at >= $3)
    AND ($4 IS NULL OR e.started_at < $4)
    AND ($6 IS NULL OR e.arn = $6 OR e.name = $6 OR contains(e.arn, $6))
    AND ($7 IS NULL OR x.text = $7 OR e.id IN (SELECT d.execution_id FROM event_detail d JOIN name n ON n.id = d.error_id WHERE n.text = $7))
    AND ($8 IS NULL OR e.version_arn = $8 OR ends_with(e.version_arn, ':' || $8))
    AND ($9 IS NULL OR contains(e.arn, $9) OR contains(x.text, $9) OR e.id IN (SELECT execution_id FROM payload WHERE contains(body, $9))
        OR e.id IN (SELECT d.execution_id FROM event_detail d JOIN name n ON n.id = d.error_id WHERE contains(n.text, $9)))
    AND ($11 IS NULL OR e.id IN (
        SELECT execution_id FROM payload WHERE field = 5 AND json_extract_string(body, '/' || replace(replace($11, '~', '~0'), '/', '~1')) = $12
    ))
    AND ($13 IS NULL OR e.map_run_arn = $13)
    AND ($10 IS NULL OR e.id IN (SELECT execution_id FROM ways WHERE way = $10))
ORDER BY CASE WHEN $15 THEN hash(e.arn_hash) END, CASE WHEN $14 THEN e.started_at END, e.started_at DESC NULLS LAST, e.arn
LIMIT $5
