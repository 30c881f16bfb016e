-- Where did the closed executions of each machine spend their time, by whole hours? $1 machine ARN or NULL, $2 first hour,
-- $3 the hour after the last; NULL leaves a condition out.
SELECT m.arn, s.text AS state, max(r.state_type), sum(r.visits)::BIGINT AS visits, sum(r.failures)::BIGINT,
    sum(r.retries)::BIGINT, sum(r.critical_us)::BIGINT AS critical_us, sum(r.work_us)::BIGINT, sum(r.callback_us)::BIGINT,
    sum(r.queue_us)::BIGINT, sum(r.backoff_us)::BIGINT, sum(r.wait_us)::BIGINT, sum(r.slot_wait_us)::BIGINT,
    sum(r.overhead_us)::BIGINT
FROM state_rollup r
JOIN machine m ON m.id = r.machine_id
JOIN name s ON s.id = r.state_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR r.hour >= $2) AND ($3 IS NULL OR r.hour < $3)
GROUP BY m.arn, s.text
HAVING sum(r.visits) > 0
ORDER BY m.arn, critical_us DESC, state
