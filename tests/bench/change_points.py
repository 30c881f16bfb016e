"""Change points against Apache Otava (E-Divisive with a t-test): the same series, which points each finds, and how long it takes.

    change_points.py STEPSCOPE

Half of the series change their level once or twice, by known points; the other half do not. Levels are logarithms of durations; the noise is
normal, or with the heavy tail that durations have. A point is found when it lies within three of the true one.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import venv

from bench import CACHE

SERIES = 400
NEAR = 3


def made(seed):
    draw = random.Random(seed)
    for number in range(SERIES):
        length = draw.randint(60, 240)
        n_changes = 0 if number % 2 else draw.randint(1, 2)
        cuts = sorted(draw.sample(range(15, length - 15, 20), n_changes))
        level, steps = 6.5, []
        for at in range(length):
            if at in cuts:
                level += draw.choice([-1, 1]) * draw.uniform(0.15, 1.0)
            tail = draw.random() < 0.03 and number % 4 < 2
            steps.append(level + draw.gauss(0, 0.1) + (draw.uniform(0.3, 1.5) if tail else 0))
        yield steps, cuts


def judged(found, true):
    hit = sum(any(abs(it - cut) <= NEAR for it in found) for cut in true)
    wrong = sum(all(abs(it - cut) > NEAR for cut in true) for it in found)
    return hit, wrong


def with_otava():
    """Goes on in an environment that has Otava."""
    home = CACHE / "otava-venv"
    python = home / "bin" / "python"
    if not python.exists():
        print("bench: installing Apache Otava", file=sys.stderr)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "apache-otava==0.8.0"], check=True)
    if sys.prefix != str(home):
        os.execv(python, [str(python), *sys.argv])


def main():
    with_otava()
    series, truth = zip(*made(20261125))
    n_true = sum(map(len, truth))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(series, file)
        file.flush()
        ours = json.loads(subprocess.run([sys.argv[1], "measure", "change-points", file.name], check=True, capture_output=True).stdout)
    from otava.analysis import compute_change_points

    began = time.perf_counter()
    theirs = [[it.index for it in compute_change_points(list(it), window_len=50, max_pvalue=0.001)[0]] for it in series]
    seconds = time.perf_counter() - began
    print(f"{SERIES} series, {n_true} true change points\n")
    print("| what | found | false | series without a change that got one | seconds |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found, took in (("stepscope", ours["change_points"], ours["seconds"]), ("Apache Otava 0.8.0", theirs, seconds)):
        hits, wrongs = zip(*(judged(a, b) for a, b in zip(found, truth)))
        alarmed = sum(bool(a) for a, b in zip(found, truth) if not b)
        print(f"| {name} | {sum(hits)} | {sum(wrongs)} | {alarmed} | {took:.3f} |")
    print(f"\n- speed against Otava: **{seconds / ours['seconds']:.0f}x**")


if __name__ == "__main__":
    main()
