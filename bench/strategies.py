#!/usr/bin/env python3
"""Training by strategy on two cores: whole `convoy train` steps against serial on one thread, and PyTorch's DDP against its own one process.

    bench/strategies.py --data DIR --python-torch PATH        # where MNIST and CIFAR-10 are; an interpreter that has torch

Every round runs every program once; a speed-up is the median over the rounds of that round's ratio. Convoy's figures are real trainings,
loader and augmentation included, from the epochs of metrics.jsonl without the first; PyTorch's are median steps on noise in memory.
Writes bench/results/<date>-strategies-<cpu>.md and prints it.
"""
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measurement import (COUNT, PEER_MALLOC, ROOT, SECONDS, THREADS, Options, Program, commit, counted, cpu, first_cores, head, keep, load_before, need_command,
                         need_modules, need_programs, number, own_environment, page_path, progress)

# Model, data set, global batch, images per epoch, and what the two-core strategies have to reach there.
BARS = {"OpenMP": 1.85, "replicated": 1.80, "ddp": 1.90}
WORK = {"cifar-cnn-128": ("cifar-cnn", "cifar10", 128, 2560, BARS),
        "mnist-cnn-64": ("mnist-cnn", "mnist", 64, 5120, {}),
        "mnist-cnn-256": ("mnist-cnn", "mnist", 256, 5120, {})}


class Training(Program):
    """A `convoy train` in a folder of its own; its figure is the median epoch, the first left out."""

    def __init__(self, name, setting, a, work, options, cores=None):
        model, dataset, batch, images, _ = work
        super().__init__(name, setting,
                         [a.binary, "train", "--model", model, "--dataset", dataset, "--data", a.data, "--batch", batch, "--limit", images,
                          "--holdout", batch, "--epochs", a.epochs, "--log-every", 1_000_000, "--workers", a.workers,
                          "--checkpoint-every", 0, *options.split()])
        self.images, self.cores = images, cores

    def rate(self, cores):
        """Samples/s of one training on these cores."""
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([*self.command, "--run", "run"], cwd=folder, env=own_environment(self.environment), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    preexec_fn=lambda: os.sched_setaffinity(0, cores))
            if result.returncode != 0:
                sys.exit(f"strategies: '{shlex.join(self.command)}' ended with code {result.returncode}:\n{result.stdout}")
            events = [json.loads(line) for line in Path(folder, "run/metrics.jsonl").read_text().splitlines()]
        return self.images / statistics.median(event["seconds"] for event in events if event["event"] == "epoch" and event["epoch"] > 1)

    def run(self, cores):
        self.last = {"version": commit()}
        self.rates.append(self.rate(set(sorted(cores)[:self.cores])))


class SideBySide(Training):
    """As many trainings as there are cores, one on each, that know nothing of each other; its figure is their sum."""

    def run(self, cores):
        self.last = {"version": commit()}
        with ThreadPoolExecutor(len(cores)) as pool:
            self.rates.append(sum(pool.map(lambda core: self.rate({core}), sorted(cores))))


def programs_for(a, work):
    """(ours, theirs); the first of each is what the others are compared with."""
    ours = [Training("serial", "1 thread", a, work, "--threads 1"),
            Training("serial", "1 thread, loader on the same core", a, work, "--threads 1", cores=1),
            SideBySide("the machine", "two trainings side by side, half the batch each", a, (*work[:2], work[2] // 2, *work[3:]), "--threads 1"),
            Training("OpenMP", "2 threads", a, work, "--threads 2"),
            Training("replicated", "2 replicas", a, work, "--strategy replicated --replicas 2 --threads 2")]
    ours += [Training("ddp", f"2 ranks x 1 thread, {reduce}", a, work, f"--strategy ddp --ranks 2 --threads 1 --reduce {reduce}"
                      + " --shards 2" * (reduce == "tree")) for reduce in ("ring", "tree", "mpi")]
    theirs = []
    if a.python_torch:
        common = [a.python_torch, ROOT / "bench/peer_torch_ddp.py", "--model", work[0], "--batch", work[2], "--seconds", a.seconds]
        for layout in ("nchw", "nhwc"):
            theirs.append(Program("PyTorch", f"1 thread, {layout}", [*common, "--ranks", 1, "--layout", layout], PEER_MALLOC))
        for layout in ("nchw", "nhwc"):
            for bucket in (25, 1):
                theirs.append(Program("PyTorch DDP", f"2 ranks x 1 thread, {layout}, buckets of {bucket} MB",
                                      [*common, "--ranks", 2, "--layout", layout, "--bucket-mb", bucket], PEER_MALLOC))
    return ours, theirs


def speed_up(program, base):
    return statistics.median(mine / its for mine, its in zip(program.rates, base.rates))


def rows(programs, base, bars):
    lines = []
    for program in programs:
        ratios = [mine / its for mine, its in zip(program.rates, base.rates)]
        bar = bars.get(program.name)
        verdict = "" if bar is None else f"≥ {bar:.2f}×: " + ("reached" if speed_up(program, base) >= bar else "**missed**")
        lines.append(f"| {program.name} | {program.setting} | {program.median():,.0f} | {min(program.rates):,.0f} – {max(program.rates):,.0f} | "
                     f"**{speed_up(program, base):.2f}×** | {min(ratios):.2f} – {max(ratios):.2f} | {verdict} |")
    return lines


def best_of(programs, name):
    return max((program for program in programs if program.name == name), key=Program.median)


def table(work, ours, theirs):
    model, dataset, batch, images, bars = work
    lines = [f"\n## {model}, batch {batch}\n", f"{images:,} images of {dataset} an epoch.\n",
             "| program | setting | samples/s | lowest and highest round | speed-up | in single rounds | bar |", "|---|---|--:|--:|--:|--:|---|",
             *rows(ours, ours[0], bars)]
    if theirs:
        single, ddp = best_of(theirs, "PyTorch"), best_of(theirs, "PyTorch DDP")
        own = best_of(ours, "ddp")
        lines += rows(theirs, single, {})
        lines.append(f"\nSpeed-ups of PyTorch are over its best single process ({single.setting}). Best of each: Convoy ddp ({own.setting}) "
                     f"{speed_up(own, ours[0]):.2f}×, PyTorch DDP ({ddp.setting}) {speed_up(ddp, single):.2f}×; "
                     f"in samples/s Convoy is {own.median() / ddp.median():.2f}× PyTorch DDP.")
    return "\n".join(lines)


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--python-torch", help="python interpreter that has torch")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/apps/convoy", help="the command convoy")
    parser.add_argument("--data", default=os.environ.get("CONVOY_DATA"), help="folder of the data sets, else $CONVOY_DATA")
    parser.add_argument("--work", action="append", choices=WORK, help="may be repeated (default: all)")
    parser.add_argument("--epochs", type=number(int, 2, 1000), default=3, help="per round; the first is left out")
    parser.add_argument("--workers", type=THREADS, default=1, help="loader threads of each process")
    parser.add_argument("--seconds", type=SECONDS, default=4, help="of measurement per PyTorch program and round")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are compared")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    if not a.data:
        parser.error("--data is missing, and CONVOY_DATA is not set")
    need_programs(a.binary)
    if a.python_torch:
        need_modules("torch", interpreter=a.python_torch)
    need_command("mpirun", "openmpi-bin")
    a.binary, a.data = a.binary.resolve(), Path(a.data).resolve()
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    cores = first_cores(2)
    if len(cores) < 2:
        sys.exit("strategies: two cores are needed")
    load = load_before()
    tables = []
    versions = set()
    for work in [WORK[name] for name in a.work or WORK]:
        ours, theirs = programs_for(a, work)
        for turn in range(a.rounds):
            for program in (*ours, *theirs):
                progress(turn, a.rounds, f"{work[0]} {work[2]}, {program.name} {program.setting}")
                program.run(cores)
            print(f"{work[0]} {work[2]} round {turn + 1}: " + ", ".join(f"{p.name} {p.setting}: {p.rates[-1]:,.0f}" for p in (*ours, *theirs)),
                  file=sys.stderr, flush=True)
        versions |= {program.last["version"] for program in theirs}
        tables.append(table(work, ours, theirs))
    page = [*head("Strategies on two cores", f"{machine}, two of them used; load before the run: {load:.2f}"),
            *(f"- PyTorch {version}" for version in sorted(versions)),
            f"- medians over {counted(a.rounds, 'interleaved round')}; a speed-up is the median of the rounds' own ratios to the first row",
            f"- Convoy: whole steps of `convoy train` with loader ({counted(a.workers, 'thread')} per process) and augmentation, the median of "
            f"{counted(a.epochs - 1, 'epoch')} after the first; the first row's loader has the other core to itself, which flatters it",
            "- Convoy's batch norm sees the whole batch in every strategy; PyTorch DDP's sees the part of its rank, and exchanges nothing",
            "- PyTorch: median steps on noise in memory, malloc's thresholds raised; gloo over the loopback interface, gradient_as_bucket_view"]
    text = "\n".join([*page, *tables]) + "\n"
    print(text)
    if not a.dry:
        keep(page_path(f"strategies-{slug}"), text)


if __name__ == "__main__":
    main()
