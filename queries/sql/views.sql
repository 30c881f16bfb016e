-- What `stepscope sql` promises: the documented views. They are made anew whenever a writer opens the database.
CREATE OR REPLACE MACRO workflow_type_text(code) AS ['STANDARD', 'EXPRESS'][code + 1];
CREATE OR REPLACE MACRO status_text(code) AS
    ['RUNNING', 'PENDING_REDRIVE', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'][code + 1];
CREATE OR REPLACE MACRO state_type_text(code) AS
    ['Task', 'Pass', 'Choice', 'Wait', 'Succeed', 'Fail', 'Parallel', 'Map'][code + 1];
CREATE OR REPLACE MACRO visit_status_text(code) AS
    ['running', 'succeeded', 'failed', 'caught', 'aborted', 'timed_out'][code + 1];
CREATE OR REPLACE MACRO attempt_status_text(code) AS ['running', 'succeeded', 'failed', 'timed_out', 'aborted'][code + 1];
CREATE OR REPLACE MACRO category_text(code) AS
    ['work', 'callback', 'queue', 'backoff', 'wait', 'slot_wait', 'redrive_idle', 'overhead'][code + 1];
CREATE OR REPLACE MACRO payload_field_text(code) AS
    ['input', 'output', 'parameters', 'cause', 'assignedVariables', 'keys'][code + 1];

-- Events, steps of the critical path, and attempts as rows, by functions that stepscope brings along.
CREATE OR REPLACE VIEW event AS
SELECT execution_id, unnest(events_of(events), recursive := true) FROM history;
CREATE OR REPLACE VIEW path_step AS
SELECT execution_id, unnest(path_of(path), recursive := true) FROM history;
CREATE OR REPLACE VIEW attempt AS
SELECT execution_id, unnest(attempts_of(attempts), recursive := true) FROM history;

CREATE OR REPLACE VIEW executions AS
WITH started AS (
    SELECT c.child_arn, min(pe.arn) AS parent_execution_arn FROM child c JOIN execution pe ON pe.id = c.execution_id
    GROUP BY c.child_arn
)
SELECT e.arn AS execution_arn, m.arn AS state_machine_arn, m.name AS machine, e.name,
    workflow_type_text(e.workflow_type) AS type, status_text(e.status) AS status, e.started_at, e.stopped_at,
    e.duration_us / 1000 AS duration_ms, e.active_us / 1000 AS active_ms, e.n_events AS events,
    e.complete, e.gaps, e.entered, e.retries, e.redrives, e.rerun, e.map_children, e.billed_transitions, n.text AS error,
    e.version_arn AS version, e.map_run_arn, coalesce(p.parent_execution_arn, r.parent_execution_arn) AS parent_execution_arn, e.log_bytes, e.billed_ms, e.billed_memory_mb, e.runs, e.express_ms
FROM execution e
JOIN machine m ON m.id = e.machine_id
LEFT JOIN name n ON n.id = e.error_id
LEFT JOIN started p ON p.child_arn = e.arn
LEFT JOIN started r ON r.child_arn = e.map_run_arn;

CREATE OR REPLACE VIEW machines AS
SELECT m.arn AS state_machine_arn, m.name AS machine, m.region, m.account,
    workflow_type_text(max(e.workflow_type)) AS type, count(*) AS executions, min(e.started_at) AS first_started_at,
    max(e.started_at) AS last_started_at
FROM machine m JOIN execution e ON e.machine_id = m.id
GROUP BY ALL;

CREATE OR REPLACE VIEW definitions AS
SELECT machine_arn AS state_machine_arn, name, workflow_type AS type, format('{:016x}', fingerprint) AS fingerprint, text, seen_at
FROM definition;

CREATE OR REPLACE VIEW events AS
SELECT e.arn AS execution_arn, v.event_id AS id, v.previous_event_id, t.text AS type, v.happened_at AS timestamp, s.text AS state,
    r.text AS resource, v.number, x.text AS error, v.log_bytes, d.detail
FROM event v
JOIN execution e ON e.id = v.execution_id
JOIN name t ON t.id = v.type_id
LEFT JOIN name s ON s.id = v.name_id
LEFT JOIN name r ON r.id = v.resource_id
LEFT JOIN event_detail d ON d.execution_id = v.execution_id AND d.event_id = v.event_id
LEFT JOIN name x ON x.id = d.error_id;

CREATE OR REPLACE VIEW payloads AS
SELECT e.arn AS execution_arn, p.event_id, payload_field_text(p.field) AS field, p.body
FROM payload p JOIN execution e ON e.id = p.execution_id;

CREATE OR REPLACE VIEW visits AS
SELECT e.arn AS execution_arn, m.arn AS state_machine_arn, v.visit_id AS id, v.parent_id AS parent, v.branch, v.iteration,
    s.text AS state, state_type_text(v.state_type) AS type, v.entered_at, v.exited_at, v.duration_us / 1000 AS duration_ms,
    v.active_us / 1000 AS active_ms, visit_status_text(v.status) AS status, x.text AS error, v.n_attempts AS attempts, v.retries, v.rerun,
    v.work_us / 1000 AS work_ms, v.callback_us / 1000 AS callback_ms, v.queue_us / 1000 AS queue_ms,
    v.backoff_us / 1000 AS backoff_ms, v.wait_us / 1000 AS wait_ms, v.slot_wait_us / 1000 AS slot_wait_ms,
    v.overhead_us / 1000 AS overhead_ms, (v.duration_us - v.active_us) / 1000 AS redrive_idle_ms, v.critical_us / 1000 AS critical_ms
FROM visit v
JOIN execution e ON e.id = v.execution_id
JOIN machine m ON m.id = e.machine_id
JOIN name s ON s.id = v.state_id
LEFT JOIN name x ON x.id = v.error_id;

CREATE OR REPLACE VIEW attempts AS
SELECT e.arn AS execution_arn, a.visit_id, s.text AS state, a.attempt, a.scheduled_at, a.started_at, a.submitted_at,
    a.ended_at, attempt_status_text(a.status) AS status, x.text AS error, r.text AS resource, a.redrive
FROM attempt a
JOIN execution e ON e.id = a.execution_id
JOIN visit v ON v.execution_id = a.execution_id AND v.visit_id = a.visit_id
JOIN name s ON s.id = v.state_id
LEFT JOIN name x ON x.id = a.error_id
LEFT JOIN name r ON r.id = a.resource_id;

CREATE OR REPLACE VIEW critical_path AS
SELECT e.arn AS execution_arn, p.visit_id AS visit, s.text AS state, category_text(p.category) AS category,
    p.from_at AS "from", p.to_at AS "to", date_diff('microsecond', p.from_at, p.to_at) / 1000 AS ms
FROM path_step p
JOIN execution e ON e.id = p.execution_id
LEFT JOIN visit w ON w.execution_id = p.execution_id AND w.visit_id = p.visit_id
LEFT JOIN name s ON s.id = w.state_id;

CREATE OR REPLACE VIEW segments AS
SELECT trace_id, segment_id, parent_id, name, origin, started_at, ended_at, execution_arn, document FROM segment;

CREATE OR REPLACE VIEW lambda_reports AS
SELECT request_id, reported_at, duration_us / 1000 AS duration_ms, billed_ms, memory_mb, max_memory_mb, init_us / 1000 AS init_ms,
    trace_id
FROM lambda_report;

CREATE OR REPLACE VIEW tags AS SELECT machine_arn AS state_machine_arn, key, value FROM machine_tag;

CREATE OR REPLACE VIEW metrics AS
SELECT machine_arn AS state_machine_arn, name, measured_at, period_s, value, unit FROM metric;

CREATE OR REPLACE VIEW prices AS SELECT region, as_of, currency, item, unit, above, rate, source FROM price;

CREATE OR REPLACE VIEW quarantine AS SELECT source, line, reason FROM quarantined;

CREATE OR REPLACE VIEW settings AS
SELECT machine_arn AS state_machine_arn, created_at, revision_id, role_arn, log_level, logs_execution_data, log_group_arn,
    is_traced, kms_key, aliases, seen_at
FROM machine_settings QUALIFY row_number() OVER (PARTITION BY machine_arn ORDER BY seen_at DESC) = 1;

CREATE OR REPLACE VIEW versions AS
SELECT machine_arn AS state_machine_arn, version_arn, format('{:016x}', definition) AS definition, created_at FROM machine_version;

CREATE OR REPLACE VIEW marks AS SELECT machine_arn AS state_machine_arn, deployed_at, label FROM mark;

CREATE OR REPLACE VIEW collected_spans AS
SELECT source, subject, wanted_from, from_at AS "from", to_at AS "to" FROM collected;

CREATE OR REPLACE VIEW gaps AS SELECT source, subject, from_at AS "from", to_at AS "to", reason FROM gap;

CREATE OR REPLACE VIEW api_calls AS
SELECT account, region, api, calls, throttled, waited_us / 1000 AS waited_ms, waiting, tokens, bucket, per_second, seen_at
FROM api_use;

-- How much of each machine is known: an execution is seen in full, in part, or only by name. `started` counts, in the hours
-- that CloudWatch has counted, what started according to it, and `seen` what of that is here.
CREATE OR REPLACE MACRO coverage_between(since, until) AS TABLE
WITH counted AS (
    SELECT machine_arn, measured_at AS hour, value FROM metric
    WHERE name = 'ExecutionsStarted' AND period_s = 3600 AND (since IS NULL OR measured_at >= date_trunc('hour', since))
        AND (until IS NULL OR measured_at < until)
), chosen AS (
    SELECT m.arn, m.name, e.started_at, e.complete, e.status, e.n_events FROM execution e JOIN machine m ON m.id = e.machine_id
    WHERE (since IS NULL OR e.started_at >= date_trunc('hour', since)) AND (until IS NULL OR e.started_at < until)
), seen AS (
    SELECT arn AS machine_arn, date_trunc('hour', started_at) AS hour, count(*) AS executions,
        count(*) FILTER (WHERE complete OR status <= 1) AS readable
    FROM chosen WHERE arn IN (SELECT machine_arn FROM counted)
    GROUP BY ALL
), hours AS (
    SELECT c.machine_arn, sum(c.value)::BIGINT AS started, coalesce(sum(s.executions), 0)::BIGINT AS seen,
        coalesce(sum(s.readable), 0)::BIGINT AS readable
    FROM counted c LEFT JOIN seen s USING (machine_arn, hour)
    GROUP BY ALL
), known AS (
    SELECT arn, name, count(*) AS executions, count(*) FILTER (WHERE complete) AS complete,
        count(*) FILTER (WHERE NOT complete AND n_events > 0) AS partial, count(*) FILTER (WHERE n_events = 0) AS unread
    FROM chosen
    GROUP BY ALL
)
SELECT coalesce(k.arn, h.machine_arn) AS state_machine_arn,
    coalesce(k.name, regexp_extract(h.machine_arn, '[^:]+$')) AS machine, coalesce(k.executions, 0) AS executions,
    coalesce(k.complete, 0) AS complete, coalesce(k.partial, 0) AS partial, coalesce(k.unread, 0) AS unread,
    h.started, h.seen,
    -- What CloudWatch has counted is the measure where it has; it may count late, so that more may be seen.
    CASE WHEN h.started > 0 THEN least(1.0, h.readable / h.started) WHEN k.executions > 0 THEN k.complete / k.executions END AS coverage
FROM known k FULL JOIN hours h ON h.machine_arn = k.arn;

CREATE OR REPLACE VIEW coverage AS FROM coverage_between(NULL::TIMESTAMP, NULL::TIMESTAMP);
