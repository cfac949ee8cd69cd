#!/usr/bin/env python3
"""How long should OpenMP's threads spin before they sleep? Training steps alone, and beside a busy program on every core.

    bench/openmp_spin.py                       # needs bench_train_step, as train_step.py does

libgomp's threads spin at the end of a parallel region (GOMP_SPINCOUNT iterations) before they sleep. Writes
bench/results/<date>-openmp_spin-<cpu>.md and prints it.
"""
import datetime
import os
import statistics
import subprocess
import sys

from train_step import ROOT, Program, commit, cpu

ROUNDS = 7
SETTINGS = {"libgomp's default": {}, "GOMP_SPINCOUNT=100": {"GOMP_SPINCOUNT": "100"}, "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
            "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"}, "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"}}


def measure(model, binary, cores, neighbours):
    """Median samples/s of each setting, with so many busy programs beside it."""
    command = [binary, "--model", model, "--threads", len(cores), "--seconds", 2]
    # OMP_WAIT_POLICY is set but empty for the default, so that the program leaves the choice to libgomp (which says that it is no valid value).
    programs = {name: Program(name, "", command, environment or {"OMP_WAIT_POLICY": ""}) for name, environment in SETTINGS.items()}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        for _ in range(ROUNDS):
            for program in programs.values():
                program.run(cores)
    finally:
        for process in busy:
            process.kill()
    return {name: f"{statistics.median(program.rates):,.0f} ({min(program.rates):,.0f} – {max(program.rates):,.0f})" for name, program in programs.items()}


def main():
    binary = ROOT / "build/release/bench/bench_train_step"
    machine, slug = cpu()
    cores = set(sorted(os.sched_getaffinity(0))[:2])
    page = ["# How long OpenMP's threads should spin\n", f"- date: {datetime.date.today()}, commit: {commit()}", f"- machine: {machine}",
            "- command: `bench/openmp_spin.py`", f"- samples/s of training steps, batch 64, {len(cores)} threads; medians (lowest – highest) of {ROUNDS} interleaved rounds"]
    for model in ("mnist-cnn", "cifar-cnn"):
        alone, beside = (measure(model, binary, cores, neighbours) for neighbours in (0, len(cores)))
        page += [f"\n## {model}\n", f"| setting | alone | beside {len(cores)} busy programs |", "|---|--:|--:|"]
        page += [f"| {name} | {alone[name]} | {beside[name]} |" for name in SETTINGS]
    text = "\n".join(page) + "\n"
    print(text)
    target = ROOT / f"bench/results/{datetime.date.today()}-openmp_spin-{slug}.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    main()
