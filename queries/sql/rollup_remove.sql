-- Takes away from the rollups what these executions had added, before their rows go. Hours, conditions and buckets are those
-- of `queries/src/rollup.rs` and `analyzer::histogram`.
INSERT INTO state_rollup
SELECT e.machine_id, epoch_us(e.started_at) // 3600000000, v.state_id, max(v.state_type), -count(*),
    -count(*) FILTER (WHERE v.status IN (2, 3, 5)), -sum(v.retries), -coalesce(sum(v.critical_us) FILTER (WHERE e.complete), 0),
    -sum(v.work_us), -sum(v.callback_us), -sum(v.queue_us), -sum(v.backoff_us), -sum(v.wait_us), -sum(v.slot_wait_us),
    -sum(v.overhead_us), -coalesce(sum(v.duration_us - v.active_us), 0), -sum(v.rerun)
FROM visit v JOIN execution e ON e.id = v.execution_id
WHERE e.id IN ($ids) AND e.status >= 2
GROUP BY 1, 2, 3;

INSERT INTO state_histogram
WITH found AS (
    SELECT e.machine_id, epoch_us(e.started_at) // 3600000000 AS hour, v.state_id, greatest(v.active_us, 0) AS us,
        greatest(length(bin(greatest(v.active_us, 0))) - 7, 0) AS shift
    FROM visit v JOIN execution e ON e.id = v.execution_id
    WHERE e.id IN ($ids) AND e.status >= 2 AND v.active_us IS NOT NULL
)
SELECT machine_id, hour, state_id, shift * 64 + (us >> shift), -count(*) FROM found GROUP BY ALL;

INSERT INTO run_rollup
SELECT machine_id, epoch_us(started_at) // 3600000000, status, -count(*), -count(*) FILTER (WHERE complete),
    -coalesce(sum(active_us) FILTER (WHERE complete AND status >= 2), 0), -sum(billed_transitions)::BIGINT
FROM execution WHERE id IN ($ids) GROUP BY 1, 2, 3;

INSERT INTO run_histogram
WITH found AS (
    SELECT machine_id, epoch_us(started_at) // 3600000000 AS hour, greatest(active_us, 0) AS us,
        greatest(length(bin(greatest(active_us, 0))) - 7, 0) AS shift
    FROM execution WHERE id IN ($ids) AND status >= 2 AND active_us IS NOT NULL
)
SELECT machine_id, hour, shift * 64 + (us >> shift), -count(*) FROM found GROUP BY ALL;
