-- What did each machine's executions use, by $3? $1 since, $2 until (by start); $3 one of machine, day (of the start), error, version, account,
-- region, or back (whole days counted back from $2; 0 is the last one); $4 days on which another price book begins: behind the month of the start and a `#` stands the place of its book; $5 whether those
-- without a known start are wanted too. Each run of a redriven execution is a request. Memory that is not known is left to the caller.
SELECT m.arn, CASE $3
        WHEN 'day' THEN substr(CAST(e.started_at AS STRING), 1, 10) WHEN 'error' THEN x.text WHEN 'version' THEN e.version_arn
        WHEN 'back' THEN CAST(CAST(floor((micros_between(e.started_at, $2) - 1) / 86400000000) AS BIGINT) AS STRING)
        WHEN 'account' THEN m.account WHEN 'region' THEN m.region END AS key,
    priced_month(coalesce(e.started_at, e.stopped_at), $4) AS period, e.billed_memory_mb,
    CAST(coalesce(e.payload_mb, 0) AS BIGINT) AS payload_mb, count(*) AS executions,
    count(coalesce(e.billed_ms, e.express_ms)) AS timed, CAST(sum(e.billed_transitions) AS BIGINT) AS transitions,
    CAST(sum(e.runs) AS BIGINT) AS requests,
    CAST(coalesce(sum(CAST(ceil(coalesce(e.billed_ms, e.express_ms) / 100) AS BIGINT) * 100), 0) AS BIGINT) AS billed_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name x ON x.id = e.error_id
WHERE (($1 IS NULL OR e.started_at >= $1) AND ($2 IS NULL OR e.started_at < $2) OR $5 AND e.started_at IS NULL)
GROUP BY ALL
ORDER BY m.arn, key NULLS LAST, period NULLS LAST, e.billed_memory_mb NULLS LAST, payload_mb
