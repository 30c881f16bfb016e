-- Where did the closed executions of each machine spend their time? One row per state, the largest share of the critical
-- path first. $1 machine ARN or NULL, $2 since, $3 until; a condition on the executions is put in.
WITH runs AS (
    SELECT e.id, e.machine_id, e.complete FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE e.status >= 2 AND ($1 IS NULL OR m.arn = $1)
        AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3) AND $chosen
),
grouped AS (
    SELECT r.machine_id, v.state_id, max(v.state_type) AS state_type, count(*) AS visits,
        count(*) FILTER (WHERE v.status IN (2, 3, 5)) AS failures, CAST(sum(v.retries) AS BIGINT) AS retries,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY v.active_us) AS p50_us,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY v.active_us) AS p95_us,
        percentile_cont(0.99) WITHIN GROUP (ORDER BY v.active_us) AS p99_us, max(v.active_us) AS max_us,
        CAST(coalesce(sum(v.critical_us) FILTER (WHERE r.complete), 0) AS BIGINT) AS critical_us,
        CAST(sum(v.work_us) AS BIGINT) AS work_us, CAST(sum(v.callback_us) AS BIGINT) AS callback_us,
        CAST(sum(v.queue_us) AS BIGINT) AS queue_us, CAST(sum(v.backoff_us) AS BIGINT) AS backoff_us,
        CAST(sum(v.wait_us) AS BIGINT) AS wait_us, CAST(sum(v.slot_wait_us) AS BIGINT) AS slot_wait_us,
        CAST(sum(v.overhead_us) AS BIGINT) AS overhead_us,
        CAST(coalesce(sum(v.duration_us - v.active_us), 0) AS BIGINT) AS redrive_idle_us, CAST(sum(v.rerun) AS BIGINT) AS rerun
    FROM visit v
    JOIN runs r ON r.id = v.execution_id
    GROUP BY r.machine_id, v.state_id
)
SELECT m.arn, s.text AS state, state_type, visits, failures, retries, p50_us, p95_us, p99_us, max_us, critical_us, work_us,
    callback_us, queue_us, backoff_us, wait_us, slot_wait_us, overhead_us, redrive_idle_us, rerun
FROM grouped g
JOIN machine m ON m.id = g.machine_id
JOIN name s ON s.id = g.state_id
ORDER BY m.arn, critical_us DESC, state
