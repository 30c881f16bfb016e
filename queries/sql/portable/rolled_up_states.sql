-- Where did the closed executions of each machine spend their time, by whole hours? $1 machine ARN or NULL, $2 first hour,
-- $3 the hour after the last; NULL leaves a condition out.
SELECT m.arn, s.text AS state, max(r.state_type) AS state_type, CAST(sum(r.visits) AS BIGINT) AS visits,
    CAST(sum(r.failures) AS BIGINT) AS failures, CAST(sum(r.retries) AS BIGINT) AS retries,
    CAST(sum(r.critical_us) AS BIGINT) AS critical_us, CAST(sum(r.work_us) AS BIGINT) AS work_us,
    CAST(sum(r.callback_us) AS BIGINT) AS callback_us, CAST(sum(r.queue_us) AS BIGINT) AS queue_us,
    CAST(sum(r.backoff_us) AS BIGINT) AS backoff_us, CAST(sum(r.wait_us) AS BIGINT) AS wait_us,
    CAST(sum(r.slot_wait_us) AS BIGINT) AS slot_wait_us, CAST(sum(r.overhead_us) AS BIGINT) AS overhead_us,
    CAST(sum(r.redrive_idle_us) AS BIGINT) AS redrive_idle_us, CAST(sum(r.rerun) AS BIGINT) AS rerun
FROM state_rollup r
JOIN machine m ON m.id = r.machine_id
JOIN name s ON s.id = r.state_id
WHERE ($1 IS NULL OR m.arn = $1) AND ($2 IS NULL OR r.hour >= $2) AND ($3 IS NULL OR r.hour < $3)
GROUP BY m.arn, s.text
HAVING sum(r.visits) > 0
ORDER BY m.arn, critical_us DESC, state
