-- How did each version of a machine do? $1 machine ARN. Executions that name no version share a row; the newest first.
SELECT e.version_arn, count(*) AS executions, min(e.started_at) AS first_at, max(e.started_at) AS last_at,
    quantile_cont(e.active_us, 0.5) FILTER (WHERE e.status >= 2) AS p50_us,
    quantile_cont(e.active_us, 0.95) FILTER (WHERE e.status >= 2) AS p95_us,
    count(*) FILTER (WHERE e.status > 2) AS failed, sum(e.billed_transitions)::BIGINT AS transitions
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE m.arn = $1
GROUP BY e.version_arn
ORDER BY first_at DESC NULLS LAST, e.version_arn
