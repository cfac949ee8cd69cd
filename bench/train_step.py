#!/usr/bin/env python3
"""Training steps per network: Convoy against PyTorch and JAX, on the same machine, in the same run, each at its best setting.

    cmake --preset release -DCONVOY_BENCH=ON && cmake --build --preset release --target bench_train_step
    bench/train_step.py --python-torch PATH --python-jax PATH          # interpreters that have torch, and jax with optax

Every round runs every program once, so that a change in the machine's mood touches all of them; the medians over the rounds are
compared. A program's figure in a round is its median step. Writes bench/results/<date>-train_step-<cpu>.md and prints it.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# glibc's defaults return large buffers to the kernel after every step and fault them in again.
PEER_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 32), "MALLOC_TOP_PAD_": str(1 << 28),
               "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}  # huge pages, which Convoy's pool asks for too
# Settings of the caller that would slow one program and not another.
MEDDLING = re.compile(r"(OPENBLAS|MKL|OMP|GOMP|KMP|MALLOC|XLA|DNNL|ONEDNN|TORCH|ATEN|THP|GLIBC|CONVOY)_|LD_PRELOAD")

# What holds everyone to an instruction set.
ISAS = {"avx2": {"CONVOY_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell",
                 "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}}


class Program:
    """One row of the table: a command that prints a JSON line with samples_per_second."""

    def __init__(self, name, setting, command, environment=None):
        self.name, self.setting, self.command = name, setting, [str(word) for word in command]
        self.environment = {k: v for k, v in os.environ.items() if not MEDDLING.match(k)} | (environment or {})
        self.rates, self.last = [], {}

    def run(self, cores):
        result = subprocess.run(self.command, env=self.environment, stdout=subprocess.PIPE, text=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores))
        if result.returncode != 0:
            sys.exit(f"train_step: '{shlex.join(self.command)}' ended with code {result.returncode}")
        self.last = json.loads(result.stdout.splitlines()[-1])
        self.rates.append(self.last["samples_per_second"])

    def median(self):
        return statistics.median(self.rates)


def programs_for(model, a, inference):
    common = ["--model", model, "--batch", a.batch, "--seconds", a.seconds, *["--inference"] * inference]
    isa = ISAS.get(a.isa, {})
    ours = Program("Convoy", "", [a.binary, *common, "--threads", a.threads], isa)
    peers = []
    if a.python_torch:
        for layout in ("nchw", "nhwc"):
            for compiled in (False, True)[:1 + a.compiled]:
                peers.append(Program("PyTorch", layout + ", compiled" * compiled,
                                     [a.python_torch, ROOT / "bench/peer_torch.py", *common, "--threads", a.threads, "--layout", layout,
                                      *["--compile"] * compiled], PEER_MALLOC | isa))
    if a.python_jax and model in ("mnist-cnn", "cifar-cnn"):
        peers.append(Program("JAX", "jit, donated", [a.python_jax, ROOT / "bench/peer_jax.py", *common], PEER_MALLOC | isa))
    return ours, peers


def table(title, ours, peers):
    ours.setting, ours.last["version"] = ours.last["isa"], commit()
    lines = [f"\n## {title}\n", "| program | version | setting | samples/s | lowest and highest round | Convoy is |", "|---|---|---|--:|--:|--:|"]
    for program in (ours, *peers):
        ratio = "" if program is ours else f"{ours.median() / program.median():.2f}×"
        lines.append(f"| {program.name} | {program.last['version']} | {program.setting} | {program.median():,.0f} | "
                     f"{min(program.rates):,.0f} – {max(program.rates):,.0f} | {ratio} |")
    if peers:
        best = max(peers, key=Program.median)
        rounds = [mine / theirs for mine, theirs in zip(ours.rates, best.rates)]
        lines.append(f"\n**{ours.median() / best.median():.2f}×** the best peer ({best.name}, {best.setting}); "
                     f"round by round {min(rounds):.2f}–{max(rounds):.2f}.")
    return "\n".join(lines)


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def commit():
    head = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    return head + (" with changes" if output_of("git", "status", "--porcelain", "--untracked-files=no") else "")


def cpu():
    fields = dict(re.findall(r"^(model name|cpu family|model|cpu MHz)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return (f"{fields.get('model name', platform.processor())} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}), "
            f"{len(os.sched_getaffinity(0))} cores"), re.sub(r"[^a-z0-9]+", "-", fields.get("model name", "cpu").lower()).strip("-")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python-torch", help="python interpreter that has torch")
    parser.add_argument("--python-jax", help="python interpreter that has jax and optax")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_train_step")
    parser.add_argument("--model", action="append", help="may be repeated (default: mnist-cnn and cifar-cnn)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4, help="of measurement per program and round")
    parser.add_argument("--isa", choices=ISAS, help="hold everyone to this instruction set")
    parser.add_argument("--compiled", action="store_true", help="try PyTorch compiled, too")
    parser.add_argument("--inference", action="store_true", help="measure forward passes alone, too")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    if not a.binary.exists():
        parser.error(f"{a.binary} is not there; build it as the first lines of --help say")
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    cores = set(sorted(os.sched_getaffinity(0))[:a.threads])
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"train_step: the machine is not idle (load {load:.1f}); the figures will suffer", file=sys.stderr)
    models = a.model or ["mnist-cnn", "cifar-cnn"]
    shown = ["bench/train_step.py", "--batch", str(a.batch), "--threads", str(a.threads), "--rounds", str(a.rounds), "--seconds", f"{a.seconds:g}"]
    shown += [word for model in a.model or [] for word in ("--model", model)]
    shown += ["--isa", a.isa] if a.isa else []
    shown += ["--compiled"] * a.compiled + ["--inference"] * a.inference
    shown += ["--python-torch", "PATH"] * bool(a.python_torch) + ["--python-jax", "PATH"] * bool(a.python_jax)
    page = [f"# Training steps, batch {a.batch}, {a.threads} threads{', ' + a.isa if a.isa else ''}\n",
            f"- date: {datetime.date.today()}, commit: {commit()}",
            f"- machine: {machine}; load before the run: {load:.2f}",
            f"- command: `{shlex.join(shown)}`",
            f"- medians over {a.rounds} interleaved rounds of {a.seconds:g} s per program; a round's figure is the median step",
            "- one step: forward, loss, backward, optimizer (Adam; SGD with momentum for resnet18), on noise in memory; inference: forward alone",
            "- peers run with malloc's thresholds raised, Convoy with the system's defaults"]
    for model, inference in [(model, inference) for inference in (False, True)[:1 + a.inference] for model in models]:
        ours, peers = programs_for(model, a, inference)
        for number in range(a.rounds):
            for program in (ours, *peers):
                program.run(cores)
            print(f"{model}{', inference' * inference} round {number + 1}: " + ", ".join(f"{p.name} {p.setting} {p.rates[-1]:,.0f}" for p in (ours, *peers)),
                  file=sys.stderr, flush=True)
        page.append(table(model + ", inference" * inference, ours, peers))
    text = "\n".join(page) + "\n"
    print(text)
    if not a.dry:
        target = ROOT / f"bench/results/{datetime.date.today()}-train_step-{slug}{'-' + a.isa if a.isa else ''}.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        print(f"train_step: wrote {target.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
