"""The peer of the import: DuckDB reads the same lines and inserts the same event columns into a file."""

import json
import sys

import duckdb

log, path = sys.argv[1:]
db = duckdb.connect(path)
db.execute(
    f"""
    CREATE TABLE event AS
    SELECT execution_arn, id::UINTEGER AS event_id, previous_event_id::UINTEGER AS previous_event_id, type,
        make_timestamp(event_timestamp::BIGINT * 1000) AS happened_at, details.name AS state,
        details."resourceType" || ':' || details.resource AS resource, coalesce(details.index, details.length) AS number,
        details.error AS error, details."roleArn" AS detail
    FROM read_ndjson('{log}', columns = {{
        execution_arn: 'VARCHAR', id: 'VARCHAR', type: 'VARCHAR', previous_event_id: 'VARCHAR', event_timestamp: 'VARCHAR',
        details: 'STRUCT(name VARCHAR, resource VARCHAR, "resourceType" VARCHAR, index UINTEGER, length UINTEGER, error VARCHAR, "roleArn" VARCHAR)'
    }})
    """
)
events = db.execute("SELECT count(*) FROM event").fetchone()[0]
db.close()
print(json.dumps({"events": events}))
