-- Which machines share an account's free tier and tiers, and from when to when is anything stored of them? Also those that are only known to exist.
WITH stored AS (
    SELECT m.arn, m.account, m.region, max(e.workflow_type)::INTEGER AS workflow_type,
        min(coalesce(e.started_at, e.stopped_at)) AS first_at,
        max(greatest(coalesce(e.started_at, e.stopped_at), coalesce(e.stopped_at, e.started_at))) AS last_at
    FROM execution e JOIN machine m ON m.id = e.machine_id
    GROUP BY m.arn, m.account, m.region
),
known AS (
    SELECT machine_arn AS arn, max(created_at) AS created_at FROM machine_settings GROUP BY machine_arn
),
defined AS (
    SELECT machine_arn AS arn, max(workflow_type) AS workflow_type FROM definition WHERE machine_arn IS NOT NULL GROUP BY machine_arn
)
SELECT coalesce(s.arn, k.arn, d.arn) AS arn,
    coalesce(s.account, split_part(coalesce(k.arn, d.arn), ':', 5)) AS account,
    coalesce(s.region, split_part(coalesce(k.arn, d.arn), ':', 4)) AS region,
    coalesce(s.workflow_type, CASE WHEN d.workflow_type = 'EXPRESS' THEN 1 ELSE 0 END)::INTEGER AS workflow_type,
    s.first_at, s.last_at, k.created_at
FROM stored s FULL JOIN known k ON k.arn = s.arn FULL JOIN defined d ON d.arn = coalesce(s.arn, k.arn)
ORDER BY ALL
