-- The first schema. Why it looks as it does:
-- * Tables are narrow, and strings that return (state names, resources, errors, event types) are ids into `name`: a
--   report over interned ids reads a fifth of the bytes.
-- * No table has a primary key: DuckDB checks one at four to seven times the cost of the append itself. Rows are unique
--   because one writer replaces all rows of an execution at once, in one transaction.
-- * `visit` holds each state visit with its whole split, so that no report has to pair events again.
CREATE TABLE name (id UINTEGER, text VARCHAR);

CREATE TABLE machine (id UINTEGER, arn VARCHAR, name VARCHAR, region VARCHAR, account VARCHAR);

CREATE TABLE execution (
    id UBIGINT USING COMPRESSION bitpacking, arn VARCHAR USING COMPRESSION fsst, arn_hash UBIGINT USING COMPRESSION bitpacking, machine_id UINTEGER USING COMPRESSION bitpacking, name VARCHAR, workflow_type UTINYINT USING COMPRESSION bitpacking, status UTINYINT USING COMPRESSION bitpacking,
    started_at TIMESTAMP USING COMPRESSION bitpacking, stopped_at TIMESTAMP USING COMPRESSION bitpacking, duration_us BIGINT USING COMPRESSION bitpacking, idle_us BIGINT USING COMPRESSION bitpacking, n_events UINTEGER USING COMPRESSION bitpacking, complete BOOLEAN,
    gaps VARCHAR, entered UBIGINT USING COMPRESSION bitpacking, retries UBIGINT USING COMPRESSION bitpacking, redrives UBIGINT USING COMPRESSION bitpacking, map_children UBIGINT USING COMPRESSION bitpacking, billed_transitions UBIGINT USING COMPRESSION bitpacking,
    error_id UINTEGER USING COMPRESSION bitpacking, version_arn VARCHAR, map_run_arn VARCHAR, log_bytes UBIGINT USING COMPRESSION bitpacking, billed_ms UBIGINT USING COMPRESSION bitpacking,
    billed_memory_mb UBIGINT USING COMPRESSION bitpacking, payload_mb UBIGINT USING COMPRESSION bitpacking, fingerprint UBIGINT USING COMPRESSION bitpacking, record VARCHAR
);

-- All events of an execution as one value (`queries/src/packed.rs`), and the steps of its critical path and all attempts as
-- others: whoever wants them wants all, and a row each costs three times as much to append. The views `event`, `path_step`
-- and `attempt` have them as rows. In the ids of events 0 stands for "none". `sums` is what is kept of a closed and complete
-- one to compare it (`queries/src/packed_sums.rs`).
CREATE TABLE history (
    execution_id UBIGINT, events BLOB USING COMPRESSION uncompressed, path BLOB USING COMPRESSION uncompressed,
    attempts BLOB USING COMPRESSION uncompressed, sums BLOB USING COMPRESSION uncompressed
);

-- What few events have: an error, and members without a column of their own, as JSON.
CREATE TABLE event_detail (execution_id UBIGINT, event_id UINTEGER, error_id UINTEGER, detail VARCHAR);

-- What may hold users' data, apart from everything else: the payload policy governs what is written here.
CREATE TABLE payload (execution_id UBIGINT, event_id UINTEGER, field UTINYINT, body VARCHAR);

CREATE TABLE visit (
    execution_id UBIGINT USING COMPRESSION bitpacking, visit_id UINTEGER USING COMPRESSION bitpacking, parent_id UINTEGER USING COMPRESSION bitpacking, branch UINTEGER USING COMPRESSION bitpacking, iteration UINTEGER USING COMPRESSION bitpacking, state_id UINTEGER USING COMPRESSION bitpacking,
    state_type UTINYINT USING COMPRESSION bitpacking, entered_at TIMESTAMP USING COMPRESSION bitpacking, exited_at TIMESTAMP USING COMPRESSION bitpacking, duration_us BIGINT USING COMPRESSION bitpacking, status UTINYINT USING COMPRESSION bitpacking, error_id UINTEGER USING COMPRESSION bitpacking,
    n_attempts UINTEGER USING COMPRESSION bitpacking, retries UINTEGER USING COMPRESSION bitpacking, work_us BIGINT USING COMPRESSION bitpacking, callback_us BIGINT USING COMPRESSION bitpacking, queue_us BIGINT USING COMPRESSION bitpacking, backoff_us BIGINT USING COMPRESSION bitpacking, wait_us BIGINT USING COMPRESSION bitpacking,
    slot_wait_us BIGINT USING COMPRESSION bitpacking, overhead_us BIGINT USING COMPRESSION bitpacking, critical_us BIGINT USING COMPRESSION bitpacking
);

-- Sums and histograms by machine and hour of start (`queries/src/rollup.rs`), which merge by addition: each transaction adds
-- rows, and takes away what it replaces with negative ones. Buckets are those of `analyzer::histogram`. `hour` counts from the
-- epoch and is NULL where the start is not known.
CREATE TABLE state_rollup (
    machine_id UINTEGER, hour UINTEGER, state_id UINTEGER, state_type UTINYINT, visits BIGINT, failures BIGINT, retries BIGINT,
    critical_us BIGINT, work_us BIGINT, callback_us BIGINT, queue_us BIGINT, backoff_us BIGINT, wait_us BIGINT, slot_wait_us BIGINT,
    overhead_us BIGINT
);
CREATE TABLE state_histogram (machine_id UINTEGER, hour UINTEGER, state_id UINTEGER, bucket UINTEGER, visits BIGINT);
CREATE TABLE run_rollup (
    machine_id UINTEGER, hour UINTEGER, status UTINYINT, executions BIGINT, complete BIGINT, path_us BIGINT, transitions BIGINT
);
CREATE TABLE run_histogram (machine_id UINTEGER, hour UINTEGER, bucket UINTEGER, executions BIGINT);

-- What an execution started: executions of a Task, and Map Runs.
CREATE TABLE child (execution_id UBIGINT, event_id UINTEGER, visit_id UINTEGER, child_arn VARCHAR);

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

-- Deployments that somebody marked; without a machine, of all of them.
CREATE TABLE mark (machine_arn VARCHAR, deployed_at TIMESTAMP, label VARCHAR);

CREATE TABLE machine_tag (machine_arn VARCHAR, key VARCHAR, value VARCHAR);

CREATE TABLE metric (machine_arn VARCHAR, name VARCHAR, measured_at TIMESTAMP, period_s UINTEGER, value DOUBLE, unit VARCHAR);

-- How a state machine is set up in its account: as the collector saw it last, and as descriptions of some time tell it. `aliases` is JSON: the versions of each with their weights.
CREATE TABLE machine_settings (
    machine_arn VARCHAR, created_at TIMESTAMP, revision_id VARCHAR, role_arn VARCHAR, log_level VARCHAR,
    logs_execution_data BOOLEAN, log_group_arn VARCHAR, is_traced BOOLEAN, kms_key VARCHAR, aliases VARCHAR, seen_at TIMESTAMP
);

-- A version, which never changes, and the fingerprint of its definition.
CREATE TABLE machine_version (
    fingerprint UBIGINT, machine_arn VARCHAR, version_arn VARCHAR, definition UBIGINT, created_at TIMESTAMP
);

-- Which spans of time of a subject were read from a source, and how far back it is to be read: the collector's memory. A
-- span is written in the transaction that holds everything that was read in it.
CREATE TABLE collected (source VARCHAR, subject VARCHAR, wanted_from TIMESTAMP, from_at TIMESTAMP, to_at TIMESTAMP);

-- What was there and cannot be read any more.
CREATE TABLE gap (
    fingerprint UBIGINT, source VARCHAR, subject VARCHAR, from_at TIMESTAMP, to_at TIMESTAMP, reason VARCHAR
);

-- How much of its allowance the collector used of each API, when it last said so.
CREATE TABLE api_use (
    account VARCHAR, region VARCHAR, api VARCHAR, calls UBIGINT, throttled UBIGINT, waited_us BIGINT, waiting UBIGINT,
    tokens DOUBLE, bucket DOUBLE, per_second DOUBLE, seen_at TIMESTAMP
);

CREATE TABLE price (
    region VARCHAR, as_of VARCHAR, currency VARCHAR, item VARCHAR, unit VARCHAR, above VARCHAR, rate VARCHAR, source VARCHAR
);

-- Input that could not be used. `source`, `line` and `reason` together are one entry.
CREATE TABLE quarantined (fingerprint UBIGINT, source VARCHAR, line UBIGINT, reason VARCHAR);
