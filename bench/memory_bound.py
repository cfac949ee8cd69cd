#!/usr/bin/env python3
"""The kernels that are bound by memory, against the bandwidth of the same memory: pooling, batch norm, ReLU, optimizers.

    bench/memory_bound.py [--threads 2]

Each kernel's bytes are the least that it has to move. What the caches hold makes it faster than the memory. Writes
bench/results/<date>-memory_bound-<cpu>-<threads>.md and prints it.
"""
import argparse
import datetime
import json
import statistics
import sys
from pathlib import Path

from products import lines_of
from train_step import ROOT, commit, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, default=ROOT / "build/release/bench")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    a = parser.parse_args()
    rounds, limits = [], []
    for number in range(a.rounds):
        limits.append(json.loads(lines_of([a.binaries / "bench_limits", "--threads", a.threads])))
        rounds.append([json.loads(line) for line in lines_of([a.binaries / "bench_memory_bound", "--threads", a.threads]).splitlines()])
        print(f"memory_bound: round {number + 1} of {a.rounds}", file=sys.stderr, flush=True)
    machine, slug = cpu()
    copy, read, peak = (statistics.median(limit[key] for limit in limits) for key in ("copy_gbs", "read_gbs", "gflops"))
    threads = f"{a.threads} thread{'s' * (a.threads > 1)}"
    page = [f"# Kernels bound by memory, {threads}\n", f"- date: {datetime.date.today()}, commit: {commit()}", f"- machine: {machine}",
            f"- command: `bench/memory_bound.py --threads {a.threads}`", f"- medians over {a.rounds} rounds, of the limits, too",
            f"- limits (`bench_limits`): copy {copy:.1f} GB/s (read and written bytes), read {read:.1f} GB/s, multiply-adds {peak:.0f} GFLOP/s",
            "- above 100 %: the caches held what memory would have had to bring\n",
            "| kernel | shape | MB | µs | GB/s | of copy |", "|---|---|--:|--:|--:|--:|"]
    for i, row in enumerate(rounds[0]):
        us = statistics.median(lines[i]["us"] for lines in rounds)
        rate = row["bytes"] / us * 1e-3
        page.append(f"| {row['kernel']} | {row['shape']} | {row['bytes'] * 1e-6:.1f} | {us:,.0f} | {rate:.1f} | {rate / copy:.0%} |")
    text = "\n".join(page) + "\n"
    print(text)
    (ROOT / f"bench/results/{datetime.date.today()}-memory_bound-{slug}-{a.threads}-thread{'s' * (a.threads > 1)}.md").write_text(text)


if __name__ == "__main__":
    main()
