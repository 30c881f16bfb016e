#!/usr/bin/env python3
"""How fast is the dashboard?

    dash.py BINARY STAND_IN

Frames of an execution with 10,000 visits, at rest and while 50,000 events a second are imported; from a key to what the terminal
gets, over a database with ten million events; the CPU of an idle dashboard; from an event in the account to the screen; and
what a refresh costs over a hundred times the visits. Where a bound is given, it is printed beside the figure.
"""

import fcntl
import json
import os
import pathlib
import pty
import random
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bench  # noqa: E402
import collect  # noqa: E402

EVENTS = int(os.environ.get("EVENTS", "10000000"))
KEYS = int(os.environ.get("KEYS", "400"))
# An execution of the synthetic log has about so many events.
EVENTS_EACH = 65
PER_SECOND = 50_000
SIZE = (50, 160)


class Terminal:
    """The dashboard in a terminal of its own."""

    def __init__(self, command, environment=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # What the user likes is neither looked at nor changed.
            home = tempfile.gettempdir()
            os.environ.update({"TERM": "xterm-256color", "LANG": "C.UTF-8", "XDG_STATE_HOME": home, **(environment or {})})
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))

    def read(self, timeout):
        """What comes within a time; empty when nothing does."""
        ready, _, _ = select.select([self.fd], [], [], timeout)
        return os.read(self.fd, 1 << 16) if ready else b""

    def settle(self, quiet=0.15, at_most=20):
        """Waits until the screen stays as it is."""
        seen, end = b"", time.monotonic() + at_most
        while time.monotonic() < end:
            more = self.read(quiet)
            if not more:
                break
            seen += more
        return seen

    def press(self, key):
        os.write(self.fd, key)

    def close(self):
        self.press(b"\x03")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if not self.read(0.2):
                    continue
            except OSError:
                break
        os.waitpid(self.pid, 0)


def percentile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))]


def frames(binary):
    return json.loads(subprocess.run([binary, "measure", "frames"], stdout=subprocess.PIPE, check=True).stdout)


def bench_frames(binary, folder):
    alone = frames(binary)
    print(f"frame of 10,000 visits: p50 {alone['p50_ms']:.2f} ms, p99 {alone['p99_ms']:.2f} ms (at most 16)")
    log = folder / "frames.jsonl"
    with log.open("wb") as out:
        subprocess.run([binary, "simulate", "--executions", str(PER_SECOND * 20 // EVENTS_EACH)], stdout=out, check=True)
    command = [binary, "--db", str(folder / "frames.duckdb"), "import", "-", "-o", "json"]
    importer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fed = threading.Event()

    def feed():
        began, sent = time.monotonic(), 0
        with log.open("rb") as lines:
            while not fed.is_set():
                batch = [line for _, line in zip(range(PER_SECOND // 10), lines)]
                if not batch:
                    break
                importer.stdin.write(b"".join(batch))
                sent += len(batch)
                time.sleep(max(0.0, began + sent / PER_SECOND - time.monotonic()))
        importer.stdin.close()
        feed.rate = sent / (time.monotonic() - began)

    thread = threading.Thread(target=feed)
    thread.start()
    time.sleep(2)
    busy = [frames(binary) for _ in range(3)]
    fed.set()
    thread.join()
    importer.wait()
    worst = max(it["p99_ms"] for it in busy)
    print(f"the same while {feed.rate:,.0f} events a second are imported: p99 {worst:.2f} ms (at most 16)")


def bench_keys(binary, folder):
    database = folder / "keys.duckdb"
    executions = str(EVENTS // EVENTS_EACH)
    simulate = subprocess.Popen([binary, "simulate", "--executions", executions], stdout=subprocess.PIPE)
    done = subprocess.run([binary, "--db", str(database), "import", "-", "-o", "json"], stdin=simulate.stdout, stdout=subprocess.PIPE, check=True)
    events = json.loads(done.stdout)["events"]
    terminal = Terminal([binary, "--db", str(database), "dash"])
    terminal.settle(quiet=2)
    random.seed(7)
    keys = [b"j", b"k", b"\x1b[B", b"\x1b[A", b"\x1b[6~", b"\x1b[5~", b"l", b"d", b"b", b"c", b"i", b"\t", b"n", b"\r", b"u", b"s", b"t", b"?"]
    spans = []
    for _ in range(KEYS):
        terminal.settle(quiet=0.03, at_most=0.5)
        began = time.monotonic()
        terminal.press(random.choice(keys))
        # A key that changes nothing has no answer; the clock redraws once a second.
        if terminal.read(0.9):
            spans.append(time.monotonic() - began)
    terminal.close()
    p50, p99 = percentile(spans, 0.5) * 1e3, percentile(spans, 0.99) * 1e3
    print(f"from a key to the frame, {events:,} events stored, {len(spans)} keys: p50 {p50:.1f} ms, p99 {p99:.1f} ms (at most 50)")
    return database


def bench_idle(binary, database):
    terminal = Terminal([binary, "--db", str(database), "dash"])
    terminal.settle(quiet=2, at_most=60)
    time.sleep(5)
    used = lambda: sum(map(int, pathlib.Path(f"/proc/{terminal.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))  # noqa: E731
    began, before = time.monotonic(), used()
    while time.monotonic() - began < 20:
        terminal.read(1)
    share = (used() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
    terminal.close()
    print(f"idle: {share * 100:.2f} % of a core (at most 1)")


def bench_screen(binary, stand_in, folder):
    """Names of executions that the stand-in starts, and when they come to the screen."""
    ages = collect.on_screen(binary, stand_in, folder, Terminal)
    print(f"from an execution's start to the screen, {len(ages)} seen: p50 {percentile(ages, 0.5):.2f} s, p99 {percentile(ages, 0.99):.2f} s (at most 1)")


def bench_refresh(binary, folder):
    python = bench.peers()
    spans = []
    for visits in (bench.VISITS // 100, bench.VISITS):
        database = folder / f"refresh{visits}.duckdb"
        subprocess.run([binary, "demo", "--once", "--executions", "20", "--keep", str(database)], stdout=subprocess.DEVNULL, check=True)
        subprocess.run([python, str(HERE / "make_large.py"), str(database), str(visits)], check=True)
        measured = subprocess.run([binary, "--db", str(database), "measure", "refresh"], stdout=subprocess.PIPE, check=True)
        spans.append(json.loads(measured.stdout)["p50_ms"])
        database.unlink()
    print(f"refresh of the overview: {spans[0]:.1f} ms over {bench.VISITS // 100:,} visits, {spans[1]:.1f} ms over {bench.VISITS:,}: {spans[1] / spans[0]:.2f}x (at most 1.5)")


def main():
    # The emulator of a terminal is among the peers.
    if os.environ.get("STEPSCOPE_BENCH") != "peers":
        os.environ["STEPSCOPE_BENCH"] = "peers"
        os.execv(bench.peers(), [bench.peers(), __file__, *sys.argv[1:]])
    binary, stand_in = map(os.path.abspath, sys.argv[1:3])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stepscope-dash-"))
    try:
        bench_frames(binary, folder)
        database = bench_keys(binary, folder)
        bench_idle(binary, database)
        bench_screen(binary, stand_in, folder)
        bench_refresh(binary, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
