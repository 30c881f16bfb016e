-- How much billed time began in each hour of a span? Where $5, execution by execution instead of by hour. $1 account, $2 region, $3 from, $4 to; a
-- memory that is not known is left to the caller.
SELECT CASE WHEN $5 THEN e.started_at ELSE date_trunc('hour', e.started_at) END AS begun, m.arn AS machine_arn, e.billed_memory_mb,
    coalesce(e.payload_mb, 0)::BIGINT AS payload_mb, CASE WHEN $5 THEN e.id END AS id, CASE WHEN $5 THEN e.arn END AS execution_arn,
    sum(ceil(coalesce(e.billed_ms, e.express_ms) / 100)::BIGINT * 100)::BIGINT AS billed_ms
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE m.account = $1 AND m.region = $2 AND e.started_at >= $3 AND e.started_at < $4
    AND coalesce(e.billed_ms, e.express_ms) IS NOT NULL
GROUP BY ALL
ORDER BY begun, execution_arn, machine_arn
