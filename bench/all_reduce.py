#!/usr/bin/env python3
"""All-reduce by size: Convoy's ring and tree against MPI's, between processes, and between threads of one process.

    bench/all_reduce.py

Definitions of nccl-tests: algbw = bytes / time, busbw = algbw * 2 (n - 1) / n for n ranks. Every round runs every program once; the
medians over the rounds are compared. The limit beside them is measured in the same run: all ranks copy as many bytes in their own
memory at the same time. Writes bench/results/<date>-all_reduce-<cpu>.md, and its figures as JSON lines (.jsonl), which
scaling_model.py reads.
"""
import json
import os
import statistics
from collections import defaultdict
from pathlib import Path

from measurement import (COUNT, ROOT, SECONDS, THREADS, Options, answer_of, counted, cpu, head, keep, lines_of, listed, load_before,
                         need_command, need_programs, number, page_path, progress)

OURS = ("ring", "tree")
PEERS = ("mpi", "MPI_Allreduce")
SHOWN = (*OURS, *PEERS, "copy")


def mpirun(ranks, *command):
    """--oversubscribe: more ranks than cores are wanted, too; unbound, as `convoy train` starts its ranks."""
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return ["mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none", *root, *command]


def measure(a):
    """(transport, ranks, bytes, algorithm) -> median seconds over the rounds."""
    seconds = defaultdict(list)
    for turn in range(a.rounds):
        for ranks in a.ranks:
            limits = ["--seconds", a.seconds, "--most", a.most]
            commands = [mpirun(ranks, a.folder / "bench_all_reduce", *limits),
                        mpirun(ranks, a.folder / "bench_peer_all_reduce", *limits)]
            if ranks > 1:
                commands.append([a.folder / "bench_all_reduce", "--threads", ranks, *limits])
            for command, what in zip(commands, ("processes", "processes, MPI_Allreduce", "threads")):
                progress(turn, a.rounds, f"ranks: {ranks}, {what}")
                for line in lines_of(command):
                    seconds[line["transport"], line["ranks"], line["bytes"], line["algorithm"]].append(line["seconds"])
    return {key: statistics.median(values) for key, values in seconds.items()}


def size_text(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB" if size >= 1 << 10 else f"{size} B"


def table(seconds, transport, ranks, cores):
    sizes = sorted({key[2] for key in seconds if key[:2] == (transport, ranks)})
    have = [name for name in SHOWN if (transport, ranks, sizes[0], name) in seconds]
    peers = [name for name in PEERS if name in have]
    where = "processes" if transport == "mpi" else "threads of one process"
    crowded = f" on {cores} cores: **oversubscribed**, ranks wait for a core" if ranks > cores else ""
    lines = [f"\n## {ranks} {where}{crowded}\n",
             "| size | " + " | ".join(f"{name}, µs" for name in have) + " | " + " | ".join(f"{name}, GB/s" for name in have) + " | "
             + "better of ring, tree: of copy |" + " … of the better of MPI's |" * bool(peers),
             "|--:|" + "--:|" * (2 * len(have) + 1 + bool(peers))]
    factor = 2 * (ranks - 1) / ranks
    for size in sizes:
        time = {name: seconds[transport, ranks, size, name] for name in have}
        rate = {name: size / time[name] / 1e9 * (1 if name == "copy" else factor) for name in have}
        best = max(rate[name] for name in OURS)
        cells = [size_text(size), *(f"{time[name] * 1e6:,.1f}" for name in have), *(f"{rate[name]:.2f}" for name in have),
                 f"{best / rate['copy']:.2f}×"]
        if peers:
            fastest = min(time[name] for name in peers)
            cells.append(f"{fastest / min(time[name] for name in OURS):.2f}×")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/release/bench", help="where the two programs are")
    parser.add_argument("--ranks", type=listed(THREADS), default="1,2,4", help="numbers of processes or threads")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are compared")
    parser.add_argument("--seconds", type=SECONDS, default=0.2, help="per size, algorithm and round")
    parser.add_argument("--most", type=number(int, 1 << 10, 1 << 30), default=64 << 20, help="bytes of the largest array")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    need_programs(a.folder / "bench_all_reduce", a.folder / "bench_peer_all_reduce")
    need_command("mpirun", "openmpi-bin")
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    load = load_before()
    seconds = measure(a)
    cores = len(os.sched_getaffinity(0))
    library = answer_of("mpirun", "--version").splitlines()[0]
    page = [*head("All-reduce by size", f"{machine}; load before the run: {load:.2f}; {library}"),
            f"- medians over {counted(a.rounds, 'interleaved round')}; in a round the median of 9 series of together {a.seconds:g} s, of the slowest rank",
            "- GB/s of ring, tree, mpi, MPI_Allreduce: busbw = bytes / time × 2 (n − 1) / n; of copy: bytes / time. 1 GB = 10⁹ bytes",
            "- `mpi` is MPI_Iallreduce as `--reduce mpi` uses it, polled with pauses like our own messages; `MPI_Allreduce` spins on its core",
            "- `copy`: all ranks copy the array in their own memory at once, the least that a rank has to do; small arrays stay in its caches",
            "- each sum was checked to be exact before it was timed"]
    groups = sorted({key[:2] for key in seconds}, key=lambda group: (group[0] != "mpi", group[1]))
    page += [table(seconds, transport, ranks, cores) for transport, ranks in groups if ranks > 1]
    if ("mpi", 1) in groups:
        least = min(key[2] for key in seconds if key[:2] == ("mpi", 1))
        page.append(f"\nAlone (1 process), {size_text(least)}: " +
                    ", ".join(f"{name} {seconds['mpi', 1, least, name] * 1e6:.2f} µs" for name in (*OURS, *PEERS)) + ".")
    text = "\n".join(page) + "\n"
    print(text)
    if a.dry:
        return
    target = page_path(f"all_reduce-{slug}")
    keep(target, text)
    target.with_suffix(".jsonl").write_text("".join(
        json.dumps({"transport": key[0], "ranks": key[1], "cores": cores, "bytes": key[2], "algorithm": key[3], "seconds": value}) + "\n"
        for key, value in sorted(seconds.items())))


if __name__ == "__main__":
    main()
