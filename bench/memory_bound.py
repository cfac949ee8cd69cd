#!/usr/bin/env python3
"""The kernels that are bound by memory, against the bandwidth of the same memory: pooling, batch norm, ReLU, optimizers.

    bench/memory_bound.py --threads 2

Each kernel's bytes are the least that it has to move. What the caches hold makes it faster than the memory. Writes
bench/results/<date>-memory_bound-<cpu>-<threads>.md and prints it.
"""
import statistics
from pathlib import Path

from measurement import COUNT, ROOT, SECONDS, THREADS, Options, counted, cpu, head, keep, lines_of, need_programs, page_path, progress


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--binaries", type=Path, default=ROOT / "build/release/bench", help="folder of bench_limits and bench_memory_bound")
    parser.add_argument("--threads", type=THREADS, default=2, help="OpenMP threads")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are taken")
    parser.add_argument("--seconds", type=SECONDS, default=0.2, help="to measure each kernel in a round")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    need_programs(a.binaries / "bench_limits", a.binaries / "bench_memory_bound")
    return a


def main():
    a = arguments()
    rounds, limits = [], []
    for number in range(a.rounds):
        progress(number, a.rounds, "limits")
        limits += lines_of([a.binaries / "bench_limits", "--threads", a.threads])
        progress(number, a.rounds, "kernels")
        rounds.append(lines_of([a.binaries / "bench_memory_bound", "--threads", a.threads, "--seconds", a.seconds]))
    machine, slug = cpu()
    read, copy, update = (statistics.median(limit[key] for limit in limits) for key in ("read_gbs", "copy_gbs", "update_gbs"))
    memory = max(read, copy, update)
    page = [*head(f"Kernels bound by memory, {counted(a.threads, 'thread')}", machine),
            f"- medians over {counted(a.rounds, 'round')}, of the limits, too",
            f"- memory (`bench_limits`): {read:.1f} GB/s read, {copy:.1f} copied (read and written bytes), {update:.1f} changed in place; the highest is the limit",
            "- each kernel is called again and again on the same arrays; above 100 %: the caches held what memory would have had to bring\n",
            "| kernel | shape | MB | µs | GB/s | of limit |", "|---|---|--:|--:|--:|--:|"]
    for i, row in enumerate(rounds[0]):
        us = statistics.median(lines[i]["us"] for lines in rounds)
        rate = row["bytes"] / us * 1e-3
        page.append(f"| {row['kernel']} | {row['shape']} | {row['bytes'] * 1e-6:.1f} | {us:,.0f} | {rate:.1f} | {rate / memory:.0%} |")
    text = "\n".join(page) + "\n"
    print(text)
    if not a.dry:
        keep(page_path(f"memory_bound-{slug}-{counted(a.threads, 'thread').replace(' ', '-')}"), text)


if __name__ == "__main__":
    main()
