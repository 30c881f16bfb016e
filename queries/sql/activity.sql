-- How much went on on each machine between two instants? $1 from, $2 until, $3 how many equal spans: executions that started in
-- each, and the 95th percentile of how long those that have ended took.
SELECT m.arn, least((date_diff('microsecond', $1::TIMESTAMP, e.started_at) * $3) // greatest(date_diff('microsecond', $1::TIMESTAMP, $2::TIMESTAMP), 1), $3 - 1)::BIGINT AS span,
    count(*) AS started, quantile_cont(e.active_us, 0.95)::BIGINT AS p95_us
FROM execution e JOIN machine m ON m.id = e.machine_id
WHERE e.started_at >= $1::TIMESTAMP AND e.started_at < $2::TIMESTAMP
GROUP BY ALL
ORDER BY ALL
