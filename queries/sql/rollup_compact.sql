-- Adds up what many transactions have left of the rollups.
CREATE TEMP TABLE rolled AS SELECT machine_id, hour, state_id, max(state_type) AS state_type, sum(visits)::BIGINT AS visits,
    sum(failures)::BIGINT AS failures, sum(retries)::BIGINT AS retries, sum(critical_us)::BIGINT AS critical_us,
    sum(work_us)::BIGINT AS work_us, sum(callback_us)::BIGINT AS callback_us, sum(queue_us)::BIGINT AS queue_us,
    sum(backoff_us)::BIGINT AS backoff_us, sum(wait_us)::BIGINT AS wait_us, sum(slot_wait_us)::BIGINT AS slot_wait_us,
    sum(overhead_us)::BIGINT AS overhead_us, sum(redrive_idle_us)::BIGINT AS redrive_idle_us, sum(rerun)::BIGINT AS rerun
FROM state_rollup GROUP BY machine_id, hour, state_id HAVING sum(visits) != 0;
DELETE FROM state_rollup;
INSERT INTO state_rollup BY NAME SELECT * FROM rolled;
DROP TABLE rolled;
CREATE TEMP TABLE rolled AS SELECT machine_id, hour, state_id, bucket, sum(visits)::BIGINT AS visits
FROM state_histogram GROUP BY ALL HAVING sum(visits) != 0;
DELETE FROM state_histogram;
INSERT INTO state_histogram BY NAME SELECT * FROM rolled;
DROP TABLE rolled;
CREATE TEMP TABLE rolled AS SELECT machine_id, hour, status, sum(executions)::BIGINT AS executions,
    sum(complete)::BIGINT AS complete, sum(path_us)::BIGINT AS path_us, sum(transitions)::BIGINT AS transitions
FROM run_rollup GROUP BY machine_id, hour, status HAVING sum(executions) != 0;
DELETE FROM run_rollup;
INSERT INTO run_rollup BY NAME SELECT * FROM rolled;
DROP TABLE rolled;
CREATE TEMP TABLE rolled AS SELECT machine_id, hour, bucket, sum(executions)::BIGINT AS executions
FROM run_histogram GROUP BY ALL HAVING sum(executions) != 0;
DELETE FROM run_histogram;
INSERT INTO run_histogram BY NAME SELECT * FROM rolled;
DROP TABLE rolled;
