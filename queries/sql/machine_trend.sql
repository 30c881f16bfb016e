-- How did the 95th percentile of each machine develop over what is stored? Equal spans of time; $1 how many.
WITH spread AS (
    SELECT min(started_at) AS first_at, greatest(date_diff('microsecond', min(started_at), max(started_at)), 1) AS us FROM execution
)
SELECT m.arn, least((date_diff('microsecond', s.first_at, e.started_at) * $1) // s.us, $1 - 1)::BIGINT AS bucket,
    quantile_cont(e.duration_us, 0.95) AS p95_us
FROM execution e JOIN machine m ON m.id = e.machine_id, spread s
WHERE e.started_at IS NOT NULL AND e.duration_us IS NOT NULL
GROUP BY ALL
ORDER BY ALL
