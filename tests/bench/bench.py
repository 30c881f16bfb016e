#!/usr/bin/env python3
"""Benchmarks that print ratios against named peers measured in the same run.

    bench.py import BINARY   imports a gigabyte of generated logs: against DuckDB's read_ndjson + insert of the same columns,
                             and against orjson + pandas computing the same state report
    bench.py analysis BINARY critical paths against CRISP on the same executions, and a what-if sweep
    bench.py large BINARY    the state report over a hundred million visits that SQL makes up

Peers are installed once, from PyPI, into a virtual environment outside the clone.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("STEPSCOPE_CACHE") or pathlib.Path.home() / ".cache" / "stepscope")
PEERS = ["duckdb==1.5.5", "orjson", "pandas", "pyte"]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
MEGABYTES = int(os.environ.get("MEGABYTES", "1000"))
VISITS = int(os.environ.get("VISITS", "100000000"))


def peers():
    """The interpreter that has the peers."""
    home = CACHE / "bench-venv"
    python = home / "bin" / "python"
    if not python.exists():
        print("bench: installing the peers", file=sys.stderr)
        venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return str(python)


def measured(command):
    """Seconds, peak resident megabytes, CPU seconds and output of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"bench: {command[0]} failed")
    return time.monotonic() - began, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, output


def generated(binary, folder):
    """A log file of at least MEGABYTES, from the synthetic source."""
    log = folder / "log.jsonl"
    executions = MEGABYTES * 26
    with log.open("wb") as out:
        subprocess.run([binary, "simulate", "--executions", str(executions)], stdout=out, check=True)
    if log.stat().st_size < MEGABYTES * 1_000_000:
        raise SystemExit(f"bench: {executions} executions make only {log.stat().st_size} bytes")
    with log.open("rb") as lines:
        events = sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 24), b""))
    return log, events


def report_of(result):
    """The state report as comparable rows: machine, state -> visits and percentiles in milliseconds."""
    return {
        (machine["state_machine_arn"].split(":")[-1], state["state"]): [state["visits"], state["p50_ms"], state["p95_ms"], state["p99_ms"]]
        for machine in result["machines"]
        for state in machine["states"]
    }


def equal(ours, theirs):
    if ours.keys() != theirs.keys():
        return False
    return all(abs(a - b) <= 0.0015 for key in ours for a, b in zip(ours[key], theirs[key]))


def bench_import(binary):
    python = peers()
    with tempfile.TemporaryDirectory(prefix="stepscope-bench-") as name:
        folder = pathlib.Path(name)
        log, events = generated(binary, folder)
        database = folder / "ours.duckdb"
        rows = {"import": [], "states": [], "duckdb": [], "script": []}
        for _ in range(ROUNDS):
            for path in folder.glob("*.duckdb*"):
                path.unlink()
            rows["import"].append(measured([binary, "--db", str(database), "import", "--payloads", "none", "-o", "json", str(log)]))
            rows["states"].append(measured([binary, "--db", str(database), "states", "-o", "json"]))
            rows["duckdb"].append(measured([python, str(HERE / "peer_duckdb.py"), str(log), str(folder / "peer.duckdb")]))
            rows["script"].append(measured([python, str(HERE / "peer_pandas.py"), str(log)]))
        ours = report_of(json.loads(rows["states"][-1][3]))
        theirs = {tuple(key.split("|")): value for key, value in json.loads(rows["script"][-1][3]).items()}
        imported = json.loads(rows["import"][-1][3])
        counted = json.loads(rows["duckdb"][-1][3])
        size = database.stat().st_size
        print_import(rows, events, log.stat().st_size, size, equal(ours, theirs), imported["events"] == counted["events"] == events)


def print_import(rows, events, n_bytes, size, same_report, same_count):
    median = {key: statistics.median(it[0] for it in values) for key, values in rows.items()}
    spread = {key: (min(it[0] for it in values), max(it[0] for it in values)) for key, values in rows.items()}
    memory = {key: max(it[1] for it in values) for key, values in rows.items()}
    cpu = {key: statistics.median(it[2] for it in values) for key, values in rows.items()}
    print(f"{n_bytes / 1e6:.0f} MB, {events:,} events, {os.cpu_count()} cores, median of {ROUNDS} rounds\n")
    print("| what | seconds | min to max | CPU s | M events/s | peak RSS MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    names = {
        "import": "`stepscope import --payloads none`: events, visits, attempts, critical path",
        "duckdb": "DuckDB 1.5.5 `read_ndjson`, insert of the same event columns",
        "states": "`stepscope states`",
        "script": "orjson + pandas, the same state report",
    }
    for key, name in names.items():
        low, high = spread[key]
        rate = events / median[key] / 1e6
        print(f"| {name} | {median[key]:.2f} | {low:.2f} to {high:.2f} | {cpu[key]:.2f} | {rate:.2f} | {memory[key]:.0f} |")
    print()
    print(f"- import against DuckDB: **{median['duckdb'] / median['import']:.2f}x** its speed")
    print(f"- import and report against the script: **{median['script'] / (median['import'] + median['states']):.1f}x** its speed")
    print(f"- the same state report as the script: {'yes' if same_report else 'NO'}; the same number of events: {'yes' if same_count else 'NO'}")
    print(f"- the database has {size / events:.1f} bytes an event")
    if not (same_report and same_count):
        raise SystemExit("bench: the results differ")


def crisp():
    """A checkout of CRISP, which is on no package index; None where it cannot be had."""
    home = pathlib.Path(os.environ.get("CRISP_PATH") or CACHE / "crisp")
    if not (home / "crisp").exists():
        clone = ["git", "clone", "--quiet", "--depth", "1", "https://github.com/uber-research/CRISP", str(home)]
        try:
            subprocess.run(clone, check=True, timeout=60, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError):
            print("bench: CRISP cannot be had here; its published rule stands in", file=sys.stderr)
            return None
    return str(home)


def bench_analysis(binary):
    python = peers()
    home = crisp()
    if home:
        os.environ["CRISP_PATH"] = home
    with tempfile.TemporaryDirectory(prefix="stepscope-bench-") as name:
        traces = pathlib.Path(name) / "traces.jsonl"
        # The best of a few rounds on either side.
        ours = [json.loads(measured([binary, "measure", "path", "--jaeger", str(traces)])[3]) for _ in range(3)]
        ours = min(ours, key=lambda it: it["seconds"])
        theirs = [json.loads(measured([python, str(HERE / "peer_crisp.py"), str(traces)])[3]) for _ in range(3)]
        theirs = min(theirs, key=lambda it: it["seconds"])
    sweep = json.loads(measured([binary, "measure", "sweep"])[3])
    n_replays = sweep["scenarios"] * sweep["executions"]
    print(f"{ours['executions']:,} executions, {ours['events']:,} events, {theirs['spans']:,} spans, one core each\n")
    print("| what | seconds | M events/s | executions/s |")
    print("| --- | ---: | ---: | ---: |")
    for what, it in (("timeline and critical path", ours), (f"{theirs['peer']}: graph and critical path", theirs)):
        rate = ours["events"] / it["seconds"] / 1e6
        print(f"| {what} | {it['seconds']:.3f} | {rate:.2f} | {ours['executions'] / it['seconds']:,.0f} |")
    print()
    print(f"- critical path against {theirs['peer']}: **{theirs['seconds'] / ours['seconds']:.0f}x** its speed")
    print(
        f"- what-if sweep: {sweep['states']} states at 5 factors over {sweep['executions']:,} executions, {n_replays:,} "
        f"re-simulations, in **{sweep['seconds']:.1f} s**; {sweep['unmodelled']} executions could not be followed"
    )


def bench_large(binary):
    python = peers()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stepscope-large-"))
    try:
        database = folder / "large.duckdb"
        subprocess.run([binary, "demo", "--once", "--executions", "20", "--keep", str(database)], stdout=subprocess.DEVNULL, check=True)
        subprocess.run([python, str(HERE / "make_large.py"), str(database), str(VISITS)], check=True)
        runs = [measured([binary, "--db", str(database), "states", "-o", "json"]) for _ in range(3)]
        seconds = statistics.median(it[0] for it in runs)
        near = [measured([binary, "--db", str(database), "states", "--approximate", "-o", "json"]) for _ in range(3)]
        start = statistics.median(measured([binary, "--db", str(database), "sql", "SELECT 1", "-o", "json"])[0] for _ in range(3))
        print(f"{VISITS:,} visits, {database.stat().st_size / 1e9:.1f} GB: `stepscope states` takes {seconds:.1f} s, {max(it[1] for it in runs):.0f} MB")
        seconds = statistics.median(it[0] for it in near)
        print(f"from the hourly sums, `--approximate`: {seconds:.3f} s, {max(it[1] for it in near):.0f} MB; of that {start:.3f} s is the start of the process")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("import", "analysis", "large"):
        raise SystemExit(__doc__)
    {"import": bench_import, "analysis": bench_analysis, "large": bench_large}[sys.argv[1]](sys.argv[2])
