#!/usr/bin/env python3
"""Kills trainings at random moments, also while they write a checkpoint, resumes them, and checks that nothing was lost.

    kill_trainings.py --convoy build/release/apps/convoy [--tests 200] [--seed 1] [--without-mpi]

Each training writes a checkpoint after every step and is killed (SIGKILL, all its processes) again and again, at moments drawn over its
whole length, of which half are put off until a checkpoint is being written, until it comes to its end. Then its weights, its log and the copies of that have to be, but for times, those of the same training that was never
stopped. A training killed before its first checkpoint begins anew. A test is one kill; `N of them within a save` counts those that left a
half-written file. Prints `N passed, N failed`; exit code 0 when none failed.
"""
import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMON = ["--dataset", "synthetic", "--limit", "150", "--holdout", "60", "--epochs", "3", "--batch", "20", "--log-every", "1", "--plots", "off", "--save", "weights",
          "--model", "conv 8 3x3 stride 2; bn; relu; dropout 0.2; flatten; linear 256; relu; linear 10"]
METHODS = {"adam": [], "momentum": ["--optimizer", "sgd", "--momentum", "0.9", "--schedule", "cosine", "--warmup-steps", "5"],
           "replicated": ["--strategy", "replicated", "--replicas", "2"], "ddp": ["--strategy", "ddp", "--ranks", "2"]}
MARK = "KILL_TRAININGS"  # a variable that every process of a training inherits
TIMES = re.compile(r'"(\w*seconds|samples_per_second)":[^,}]*')


def start(a, folder, arguments):
    with open(folder / "out", "ab") as out, open(folder / "error", "wb") as error:
        return subprocess.Popen([a.convoy, "train", *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=error,
                                env={**os.environ, "OMP_NUM_THREADS": "1", MARK: str(folder)})


def processes_of(folder):
    wanted = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            pass
    return found


def kill_all(folder):
    """Also ranks, which live on a little when mpirun is killed, and mpirun's helpers."""
    while processes := processes_of(folder):
        for process in processes:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def result(folder):
    run = folder / "run"
    epochs = [row.split(",")[:8] for row in (run / "metrics.csv").read_text().splitlines()]  # the rest are times
    return ((folder / "weights").read_bytes(), TIMES.sub("", (run / "metrics.jsonl").read_text()), epochs, (run / "steps.csv").read_bytes(),
            [path.stat().st_size for path in run.glob("events.out.tfevents.*")])


def reference(a, folder, method):
    """What the training comes to, and how many seconds it takes with checkpoints."""
    begin = time.monotonic()
    folder.mkdir()
    if start(a, folder, [*COMMON, *METHODS[method], "--run", "run", "--checkpoint-every", "1"]).wait() != 0:
        sys.exit(f"kill_trainings: {method}: {(folder / 'error').read_text()}")
    return result(folder), time.monotonic() - begin


def ended_before(process, moment, folder, within_save):
    """The exit code of a training that ends before `moment`, or, within_save, before it writes its next checkpoint after that; else None."""
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        pass
    while within_save and process.poll() is None and not any((folder / "run/checkpoints").glob("*.tmp")):
        pass
    return process.poll()


def train_and_kill(a, folder, method, expected, seconds, draw, most):
    """One training to its end, or until it was killed `most` times: kills, kills within a save, and what was wrong."""
    kills = within = 0
    arguments = fresh = [*COMMON, *METHODS[method], "--run", "run", "--checkpoint-every", "1"]
    while True:
        process = start(a, folder, arguments)
        code = ended_before(process, draw.uniform(0, seconds), folder, draw.random() < 0.5) if kills < most else process.wait()
        if code is None:
            process.kill()
            process.wait()
            kill_all(folder)
            kills += 1
            within += any((folder / "run/checkpoints").glob("*.tmp"))
            arguments = ["--resume", "run"]
            continue
        error = (folder / "error").read_text()
        if code == 3 and ("no checkpoint is there" in error or "config.json: cannot be read" in error):
            shutil.rmtree(folder / "run", ignore_errors=True)
            arguments = fresh
            continue
        if code != 0 or error:
            return kills, within, f"ended with code {code}: {error.strip()}"
        if not (folder / "weights").exists() or result(folder) != expected:
            return kills, within, "is another training after it was resumed"
        left = [path.name for path in (folder / "run/checkpoints").iterdir() if path.suffix != ".safetensors"]
        return kills, within, f"left behind: {', '.join(left)}" if left else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", required=True, help="the program under test")
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-mpi", action="store_true", help="no trainings on ranks")
    a = parser.parse_args()
    if a.without_mpi:
        del METHODS["ddp"]
    a.convoy = os.path.realpath(a.convoy)
    draw = random.Random(a.seed)
    failed = passed = within = trainings = 0
    with tempfile.TemporaryDirectory(prefix="convoy-kill-") as root:
        references = {}
        while passed + failed < a.tests:
            method = draw.choice(list(METHODS))
            trainings += 1
            if method not in references:
                references[method] = reference(a, Path(root, method), method)
            folder = Path(root, str(trainings))
            folder.mkdir()
            kills, saving, wrong = train_and_kill(a, folder, method, *references[method], draw, a.tests - passed - failed)
            within += saving
            if wrong:
                failed += max(1, kills)
                print(f"{method}, training {trainings}, killed {kills} times: {wrong}", flush=True)
            else:
                passed += kills
            shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, in {trainings} trainings; {within} of them within a save (seed {a.seed})")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
