-- How many transitions beyond those counted did CloudWatch see per execution? Over whole days, between the first and the last,
-- of machines of which every execution is known in full.
WITH points AS (
    SELECT machine_arn, measured_at::DATE AS day, sum(value) AS consumed FROM metric
    WHERE name = 'ConsumedCapacity' GROUP BY ALL
),
counted AS (
    SELECT m.arn, e.started_at::DATE AS day, count(*) AS executions, sum(e.entered + e.retries + e.redrives + coalesce(e.map_children, 0)) AS transitions,
        bool_and(e.complete) AS is_whole
    FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE e.workflow_type = 0 AND e.started_at IS NOT NULL GROUP BY ALL
),
days AS (
    SELECT p.machine_arn, p.day, p.consumed, c.executions, c.transitions,
        min(c.day) OVER (PARTITION BY p.machine_arn) AS first_day, max(c.day) OVER (PARTITION BY p.machine_arn) AS last_day
    FROM points p JOIN counted c ON c.arn = p.machine_arn AND c.day = p.day WHERE c.is_whole
)
SELECT machine_arn, count(*) AS days, sum(executions)::BIGINT AS executions, (sum(consumed) - sum(transitions)) / sum(executions) AS extra
FROM days WHERE day > first_day AND day < last_day
GROUP BY machine_arn
ORDER BY machine_arn
