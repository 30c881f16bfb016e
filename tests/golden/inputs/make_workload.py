"""Writes `workload/`: two weeks of four state machines, from `stepscope simulate` and `demo`.

    python3 make_workload.py STEPSCOPE

The files are frozen: the golden answers rest on them. Run this only to replace them on purpose.
"""

import json
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

STEPSCOPE = sys.argv[1]
HERE = Path(__file__).resolve().parent / "workload"
LAST_DAY = datetime(2026, 11, 1, tzinfo=timezone.utc)
DEPLOYED = datetime(2026, 10, 25, tzinfo=timezone.utc)
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:"


def run(*arguments):
    return subprocess.run([STEPSCOPE, *arguments], check=True, capture_output=True, text=True).stdout


def simulate(shape, form, executions, end, seed):
    return run(
        "simulate", "--shape", shape, "--format", form, "--executions", str(executions),
        "--end", end.strftime("%Y-%m-%dT%H:%M:%SZ"), "--seed", str(seed),
    ).splitlines()


def starts(lines):
    """When each execution started, from its log lines."""
    events = (json.loads(line) for line in lines)
    return {it["execution_arn"]: int(it["event_timestamp"]) for it in events if it["type"] == "ExecutionStarted"}


def is_in_last_hour(at, end):
    return int(end.timestamp() * 1000) - at <= 3_600_000


def logs_and_traces():
    """Quiet days without their last hours, in which the simulator's incident is; then 36 hours that are last hours alone."""
    lines, traces = [], []
    hours = [LAST_DAY - timedelta(hours=it) for it in range(35, -1, -1)]
    first_bad = hours[0] - timedelta(hours=1)
    for day in range(13, -1, -1):
        end = LAST_DAY - timedelta(days=day)
        found = simulate("demo", "logs", 30, end, 100 + day)
        quiet = {arn for arn, at in starts(found).items()
                 if not is_in_last_hour(at, end) and at < first_bad.timestamp() * 1000}
        lines += [it for it in found if json.loads(it)["execution_arn"] in quiet]
        lines += simulate("express", "logs", 8, end, 200 + day)
    for number, end in enumerate(hours):
        found = simulate("demo", "logs", 120, end, 300 + number)
        bad = {arn for arn, at in starts(found).items() if is_in_last_hour(at, end)}
        lines += [it for it in found if json.loads(it)["execution_arn"] in bad]
        if number >= len(hours) - 6:
            traces += traces_of(simulate("demo", "xray", 120, end, 300 + number), bad)
    return lines, traces + simulate("express", "xray", 8, LAST_DAY, 200)


def traces_of(documents, executions):
    read = [json.loads(it) for it in documents]
    kept = {it["trace_id"] for it in read if it.get("aws", {}).get("resource_arn") in executions}
    return [text for text, it in zip(documents, read) if it["trace_id"] in kept]


def executions():
    """What ListExecutions says of the orders: version 1 in the first week, version 2 in the second, through an alias."""
    with tempfile.TemporaryDirectory() as folder:
        db = f"{folder}/a.duckdb"
        run("--db", db, "import", str(HERE / "logs.jsonl.zst"))
        query = "SELECT execution_arn, name, status, started_at, stopped_at FROM executions WHERE machine = 'order-processing' ORDER BY started_at"
        rows = json.loads(run("--db", db, "-o", "json", "sql", query))["rows"]
    found = []
    for arn, name, status, started, stopped in rows:
        version = 2 if datetime.fromisoformat(started.replace("Z", "+00:00")) >= DEPLOYED else 1
        found.append({
            "executionArn": arn, "stateMachineArn": ARN + "order-processing", "name": name, "status": status,
            "startDate": started, "stopDate": stopped,
            "stateMachineVersionArn": f"{ARN}order-processing:{version}",
            "stateMachineAliasArn": f"{ARN}order-processing:live",
        })
    return found


def description(name, definition, kind, at, level):
    return {
        "stateMachineArn": ARN + name, "name": name, "status": "ACTIVE", "type": kind,
        "definition": json.dumps(definition, separators=(",", ":")),
        "roleArn": f"arn:aws:iam::123456789012:role/{name}", "creationDate": "2026-09-01T08:00:00Z", "updateDate": at,
        "loggingConfiguration": {"level": level, "includeExecutionData": True, "destinations": [
            {"cloudWatchLogsLogGroup": {"logGroupArn": f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/{name}:*"}}]},
        "tracingConfiguration": {"enabled": kind == "EXPRESS"},
    }


ENRICH = {
    "Comment": "Synthetic: api-enrich", "StartAt": "Lookup", "States": {
        "Lookup": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem", "Next": "Known"},
        "Known": {"Type": "Choice", "Choices": [{"Variable": "$.way", "NumericEquals": 1, "Next": "Score"}], "Default": "Merge"},
        "Merge": {"Type": "Pass", "End": True},
        "Score": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True, "Retry": [
            {"ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2.0}]},
    },
}


def definitions():
    with tempfile.TemporaryDirectory() as folder:
        db = f"{folder}/a.duckdb"
        run("demo", "--once", "--executions", "1", "--end", "2026-11-01T00:00:00Z", "--keep", db)
        rows = json.loads(run("--db", db, "-o", "json", "sql", "SELECT name, text FROM definitions"))["rows"]
    found = []
    for name, text in rows:
        now = json.loads(text)
        if name == "order-processing":
            before = json.loads(text)
            before["States"]["ValidateOrder"]["TimeoutSeconds"] = 30
            before["States"]["Fulfil"]["Branches"][1]["States"]["PackItems"]["MaxConcurrency"] = 10
            found.append(description(name, before, "STANDARD", "2026-10-10T09:00:00Z", "ALL"))
        found.append(description(name, now, "STANDARD", DEPLOYED.strftime("%Y-%m-%dT%H:%M:%SZ"), "ALL"))
    return found + [description("api-enrich", ENRICH, "EXPRESS", "2026-10-01T09:00:00Z", "ALL")]


def reports(documents):
    """A REPORT line for each Lambda call of the traces that names a request."""
    lines = []

    def walk(document):
        request = document.get("aws", {}).get("request_id")
        if request:
            took = (document["end_time"] - document["start_time"]) * 900
            start = "\tInit Duration: 180.25 ms\t" if len(lines) % 9 == 0 else "\t"
            lines.append(
                f"REPORT RequestId: {request}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms\t"
                f"Memory Size: 512 MB\tMax Memory Used: 96 MB{start}")
        for part in document.get("subsegments", []):
            walk(part)

    for document in documents:
        walk(json.loads(document))
    return lines


def packed(name, lines):
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(["zstd", "-q", "-f", "-19", "-o", str(HERE / f"{name}.zst")], input=text, text=True, check=True)


def plain(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


def main():
    for folder in [HERE, HERE / "../metrics", HERE / "../definitions"]:
        folder.mkdir(exist_ok=True)
    lines, documents = logs_and_traces()
    packed("logs.jsonl", lines)
    packed("traces.jsonl", documents)
    packed("reports.txt", reports(documents))
    packed("executions.json", [json.dumps({"executions": executions()})])
    packed("all-shapes.jsonl", simulate("all", "history", 12, LAST_DAY, 7))
    for number, it in enumerate(definitions()):
        plain(f"describe-{number}-{it['name']}.json", it)
        if it["name"] == "order-processing":
            plain(f"../definitions/order-processing-{number + 1}.asl.json", json.loads(it["definition"]))
    tags = [{"key": "team", "value": "orders"}, {"key": "stage", "value": "prod"}]
    plain("tags-order-processing.json", {"resourceArn": ARN + "order-processing", "tags": tags})
    plain("tags-image-ingest.json", {"resourceArn": ARN + "image-ingest", "tags": [{"key": "team", "value": "media"}]})
    points = [
        {"Timestamp": f"2026-10-31T{hour:02}:00:00Z", "Sum": 50.0 if hour < 23 else 80.0, "Unit": "Count"} for hour in range(24)]
    plain("../metrics/order-processing.json", {"Label": "ExecutionsStarted", "Datapoints": points})


main()
