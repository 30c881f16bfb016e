#!/usr/bin/env python3
"""How does the collector use its allowance, and what does it take? Against the stand-in for AWS, on this machine.

1. Of the token bucket's limit, how much is used while work waits? Quotas scaled up; calls counted by the stand-in.
2. Following at about 1,000,000 events an hour at AWS's own quotas: CPU and memory; how long from an event to the database,
   seen by another process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

PORT = 4611
ADDRESS = f"http://127.0.0.1:{PORT}"
RATE = 400
FOLLOW_SECONDS = int(os.environ.get("FOLLOW_SECONDS", "90"))
ENVIRONMENT = dict(os.environ, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true")


def stats():
    with urllib.request.urlopen(f"{ADDRESS}/stats") as answer:
        return json.load(answer)


class StandIn:
    def __init__(self, binary, *arguments):
        self.process = subprocess.Popen([binary, str(PORT), *arguments], stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def collect(stepscope, database, *more):
    command = [stepscope, "collect", "--endpoint-url", ADDRESS, "--region", "us-east-1", "--db", database, "-o", "json", *more]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def usage(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return seconds, peak / 1024


def utilisation(stepscope, stand_in, folder):
    # Half of the quota is the limit, as it is by default.
    quota = f"GetExecutionHistory=100/{2 * RATE}"
    with StandIn(stand_in, "past", "3000", quota):
        process = collect(stepscope, f"{folder}/u.duckdb", "--source", "history", "--quota", quota)
        history = lambda: stats()["calls"].get("GetExecutionHistory", 0)
        while history() < 200:
            time.sleep(0.05)
        began, first = time.monotonic(), history()
        time.sleep(15)
        elapsed, last = time.monotonic() - began, history()
        throttled = stats()["throttled"].get("GetExecutionHistory", 0)
        process.communicate()
    share = (last - first) / elapsed / RATE
    print(f"allowance used while work waits: {share:.1%} of {RATE} calls a second ({throttled} throttled)")


def following(stepscope, stand_in, folder):
    database = f"{folder}/f.duckdb"
    with StandIn(stand_in, "live", "6"):
        process = collect(stepscope, database, "--follow", "--interval", "5", "--source", "logs,history")
        began = time.monotonic()
        ages = []
        # Of the machine whose logs are followed: how old is the newest event that another process can see?
        query = ("SELECT epoch_us(max(greatest(started_at, stopped_at))) FROM executions WHERE type = 'EXPRESS'")
        while time.monotonic() - began < FOLLOW_SECONDS:
            out = subprocess.run([stepscope, "sql", "--db", database, "-o", "json", query], capture_output=True, env=ENVIRONMENT)
            now = time.time()
            if out.returncode == 0 and time.monotonic() - began > 10:
                ages.append(now - json.loads(out.stdout)["rows"][0][0] / 1e6)
            time.sleep(0.05)
        seconds, peak = usage(process.pid)
        elapsed = time.monotonic() - began
        process.terminate()
        result = json.loads(process.communicate()[0])
    rate = result["new_events"] / elapsed * 3600
    ages.sort()
    median, p99 = ages[len(ages) // 2], ages[int(len(ages) * 0.99)]
    print(f"followed {rate:,.0f} events an hour: {seconds / elapsed:.1%} of a core, {peak:.0f} MB")
    print(f"age of the newest logged event that another process sees: median {median:.2f} s, p99 {p99:.2f} s ({len(ages)} looks)")


def on_screen(stepscope, stand_in, folder, terminal):
    """Seconds from the start of each execution to its name on the screen of a dashboard that collects."""
    import pyte

    database = f"{folder}/s.duckdb"
    begun, seen = time.time(), {}
    with StandIn(stand_in, "live", "6"):
        command = [stepscope, "--db", database, "dash", "--endpoint-url", ADDRESS, "--region", "us-east-1"]
        dash = terminal(command, ENVIRONMENT)
        screen = pyte.Screen(160, 50)
        stream = pyte.ByteStream(screen)
        stream.feed(dash.settle(quiet=3, at_most=30))
        # The machine whose logs are followed: its executions, the newest first.
        dash.press(b":executions image-ingest\r")
        opened = time.time()
        while time.time() - begun < FOLLOW_SECONDS:
            stream.feed(dash.read(0.02))
            now = time.time()
            for line in screen.display[3:15]:
                for word in line.split()[:2]:
                    if "-" in word and word[0].isalnum():
                        seen.setdefault(word, now)
        dash.close()
    query = "SELECT name, epoch_us(started_at) FROM executions WHERE type = 'EXPRESS'"
    out = subprocess.run([stepscope, "sql", "--db", database, "-o", "json", query], capture_output=True, env=ENVIRONMENT, check=True)
    started = {name: at / 1e6 for name, at in json.loads(out.stdout)["rows"]}
    return [seen[name] - at for name, at in started.items() if name in seen and at > opened + 5]


def main():
    if len(sys.argv) != 3:
        sys.exit("give the paths of stepscope and of the stand-in")
    with tempfile.TemporaryDirectory() as folder:
        utilisation(sys.argv[1], sys.argv[2], folder)
        following(sys.argv[1], sys.argv[2], folder)


if __name__ == "__main__":
    main()
