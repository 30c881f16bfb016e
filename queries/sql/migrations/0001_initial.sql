-- The first schema. Why it looks as it does:
-- * Tables are narrow, and strings that return (state names, resources, errors, event types) are ids into `name`: a
--   report over interned ids reads a fifth of the bytes.
-- * No table has a primary key: DuckDB checks one at four to seven times the cost of the append itself. Rows are unique
--   because one writer replaces all rows of an execution at once, in one transaction.
-- * `visit` holds each state visit with its whole split, so that no report has to pair events again.
CREATE TABLE name (id UINTEGER, text VARCHAR);

CREATE TABLE machine (id UINTEGER, arn VARCHAR, name VARCHAR, region VARCHAR, account VARCHAR);

CREATE TABLE execution (
    id UINTEGER, arn VARCHAR, arn_hash UBIGINT, machine_id UINTEGER, name VARCHAR, workflow_type UTINYINT, status UTINYINT,
    started_at TIMESTAMP, stopped_at TIMESTAMP, duration_us BIGINT, idle_us BIGINT, n_events UINTEGER, complete BOOLEAN,
    gaps VARCHAR, entered UBIGINT, retries UBIGINT, redrives UBIGINT, map_children UBIGINT, billed_transitions UBIGINT,
    error_id UINTEGER, version_arn VARCHAR, map_run_arn VARCHAR, log_bytes UBIGINT, billed_ms UBIGINT,
    billed_memory_mb UBIGINT, fingerprint UBIGINT, record VARCHAR
);

-- All events of an execution as one value (`queries/src/packed.rs`): whoever wants them wants all, and a row each costs
-- three times as much to append. The view `event` has them as rows. In their ids 0 stands for "none".
CREATE TABLE history (execution_id UINTEGER, events BLOB USING COMPRESSION uncompressed);

-- What few events have: an error, and members without a column of their own, as JSON.
CREATE TABLE event_detail (execution_id UINTEGER, event_id UINTEGER, error_id UINTEGER, detail VARCHAR);

-- The critical path: spans in order of time, without gap or overlap. `visit_id` is NULL for the execution's own time.
CREATE TABLE path_step (
    execution_id UINTEGER, visit_id UINTEGER, category UTINYINT, from_at TIMESTAMP, to_at TIMESTAMP
);

-- What may hold users' data, apart from everything else: the payload policy governs what is written here.
CREATE TABLE payload (execution_id UINTEGER, event_id UINTEGER, field UTINYINT, body VARCHAR);

CREATE TABLE visit (
    execution_id UINTEGER, visit_id UINTEGER, parent_id UINTEGER, branch UINTEGER, iteration UINTEGER, state_id UINTEGER,
    state_type UTINYINT, entered_at TIMESTAMP, exited_at TIMESTAMP, duration_us BIGINT, status UTINYINT, error_id UINTEGER,
    n_attempts UINTEGER, retries UINTEGER, work_us BIGINT, callback_us BIGINT, queue_us BIGINT, backoff_us BIGINT, wait_us BIGINT,
    slot_wait_us BIGINT, overhead_us BIGINT, critical_us BIGINT
);

CREATE TABLE attempt (
    execution_id UINTEGER, visit_id UINTEGER, attempt UINTEGER, scheduled_at TIMESTAMP, started_at TIMESTAMP,
    submitted_at TIMESTAMP, ended_at TIMESTAMP, status UTINYINT, error_id UINTEGER, resource_id UINTEGER
);

-- What an execution started: executions of a Task, and Map Runs.
CREATE TABLE child (execution_id UINTEGER, event_id UINTEGER, child_arn VARCHAR);

CREATE TABLE definition (
    fingerprint UBIGINT, machine_arn VARCHAR, name VARCHAR, workflow_type VARCHAR, text VARCHAR, seen_at TIMESTAMP
);

CREATE TABLE segment (
    fingerprint UBIGINT, trace_id VARCHAR, segment_id VARCHAR, parent_id VARCHAR, name VARCHAR, origin VARCHAR,
    started_at TIMESTAMP, ended_at TIMESTAMP, execution_arn VARCHAR, document VARCHAR
);

CREATE TABLE lambda_report (
    fingerprint UBIGINT, request_id VARCHAR, reported_at TIMESTAMP, duration_us BIGINT, billed_ms UBIGINT, memory_mb UBIGINT,
    max_memory_mb UBIGINT, init_us BIGINT, trace_id VARCHAR
);

CREATE TABLE metric (machine_arn VARCHAR, name VARCHAR, measured_at TIMESTAMP, period_s UINTEGER, value DOUBLE, unit VARCHAR);

CREATE TABLE price (
    region VARCHAR, as_of VARCHAR, currency VARCHAR, item VARCHAR, unit VARCHAR, above VARCHAR, rate VARCHAR, source VARCHAR
);

-- Input that could not be used. `source`, `line` and `reason` together are one entry.
CREATE TABLE quarantined (fingerprint UBIGINT, source VARCHAR, line UBIGINT, reason VARCHAR);
