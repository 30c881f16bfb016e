-- Where did the closed executions of each machine spend their time? One row per state, the largest share of the critical
-- path first. $1 machine ARN or NULL, $2 since, $3 until, $4 ids of executions with commas
-- between or NULL. The three quantiles in one aggregate are sorted for only once.
WITH runs AS (
    SELECT e.id, e.machine_id, e.duration_us, e.complete FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE e.status >= 2 AND ($1 IS NULL OR m.arn = $1)
        AND ($2 IS NULL OR e.started_at >= $2) AND ($3 IS NULL OR e.started_at < $3)
        AND ($4 IS NULL OR e.id IN (SELECT unnest(string_split($4, ','))::UBIGINT))
),
grouped AS (
    SELECT r.machine_id, v.state_id, max(v.state_type) AS state_type, count(*) AS visits,
        count(*) FILTER (WHERE v.status IN (2, 3, 5)) AS failures, sum(v.retries)::BIGINT AS retries,
        quantile_cont(v.duration_us, [0.5, 0.95, 0.99]) AS quantiles, max(v.duration_us) AS max_us,
        coalesce(sum(v.critical_us) FILTER (WHERE r.complete), 0)::BIGINT AS critical_us,
        sum(v.work_us)::BIGINT AS work_us, sum(v.callback_us)::BIGINT AS callback_us, sum(v.queue_us)::BIGINT AS queue_us,
        sum(v.backoff_us)::BIGINT AS backoff_us, sum(v.wait_us)::BIGINT AS wait_us,
        sum(v.slot_wait_us)::BIGINT AS slot_wait_us, sum(v.overhead_us)::BIGINT AS overhead_us
    FROM visit v
    JOIN runs r ON r.id = v.execution_id
    GROUP BY r.machine_id, v.state_id
)
SELECT m.arn, s.text AS state, state_type, visits, failures, retries, quantiles[1] AS p50_us, quantiles[2] AS p95_us,
    quantiles[3] AS p99_us, max_us, critical_us, work_us, callback_us, queue_us, backoff_us, wait_us, slot_wait_us, overhead_us
FROM grouped g
JOIN machine m ON m.id = g.machine_id
JOIN name s ON s.id = g.state_id
ORDER BY m.arn, critical_us DESC, state
