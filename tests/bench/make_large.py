"""Fills the tables of a stepscope database with made-up visits, twenty to an execution."""

import pathlib
import sys

import duckdb

path, n_visits = sys.argv[1], int(sys.argv[2])
db = duckdb.connect(path)
db.execute("SET preserve_insertion_order = false")
n_executions = n_visits // 20
first = db.execute("SELECT max(id) + 1 FROM execution").fetchone()[0]
db.execute(
    f"""
    INSERT INTO execution BY NAME
    SELECT ({first} + i)::UINTEGER AS id, format('arn:aws:states:us-east-1:123456789012:execution:image-ingest:large-{{}}', i) AS arn,
        hash(i) AS arn_hash, 0::UINTEGER AS machine_id, format('large-{{}}', i) AS name, 0::UTINYINT AS workflow_type,
        2::UTINYINT AS status, TIMESTAMP '2026-10-01' + to_microseconds(i * 500) AS started_at,
        TIMESTAMP '2026-10-01' + to_microseconds(i * 500 + 900000) AS stopped_at, 900000 AS duration_us, 0 AS idle_us,
        100::UINTEGER AS n_events, true AS complete, 20 AS entered, 0 AS retries, 0 AS redrives, 0 AS map_children,
        20 AS billed_transitions, 0 AS log_bytes, hash(i) AS fingerprint
    FROM range({n_executions}) t(i)
    """
)
states = [row[0] for row in db.execute("SELECT DISTINCT state_id FROM visit ORDER BY 1 LIMIT 10").fetchall()]
step = 10_000_000
for begin in range(0, n_visits, step):
    db.execute(
        f"""
        INSERT INTO visit BY NAME
        SELECT ({first} + i // 20)::UINTEGER AS execution_id, (2 + i % 20 * 5)::UINTEGER AS visit_id,
            {states}[1 + i % {len(states)}]::UINTEGER AS state_id, 0::UTINYINT AS state_type,
            TIMESTAMP '2026-10-01' + to_microseconds(i // 20 * 500) AS entered_at,
            TIMESTAMP '2026-10-01' + to_microseconds(i // 20 * 500 + us) AS exited_at, us AS duration_us, 1::UTINYINT AS status,
            1 AS n_attempts, 0 AS retries, us - 5000 AS work_us, 0 AS callback_us, 3000 AS queue_us, 0 AS backoff_us,
            0 AS wait_us, 0 AS slot_wait_us, 2000 AS overhead_us, us AS critical_us
        FROM (SELECT i, 10000 + (hash(i) % 400000)::BIGINT AS us FROM range({begin}, {min(begin + step, n_visits)}) t(i))
        """
    )
# The hourly sums that an import would have added.
remove = (pathlib.Path(__file__).resolve().parents[2] / "queries/sql/rollup_remove.sql").read_text()
added = remove.replace("e.id IN ($ids) AND", f"e.id >= {first} AND").replace("id IN ($ids) AND", f"id >= {first} AND").replace("id IN ($ids)", f"id >= {first}")
for table in ("state_rollup", "state_histogram", "run_rollup", "run_histogram"):
    db.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}")
    db.execute(f"DELETE FROM {table}")
for statement in added.split(";"):
    if statement.strip():
        db.execute(statement)
counts = {
    "state_rollup": "visits failures retries critical_us work_us callback_us queue_us backoff_us wait_us slot_wait_us overhead_us",
    "state_histogram": "visits", "run_rollup": "executions complete path_us transitions", "run_histogram": "executions",
}
for table, columns in counts.items():
    db.execute(f"UPDATE {table} SET " + ", ".join(f"{it} = -{it}" for it in columns.split()))
    db.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
db.close()
