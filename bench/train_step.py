#!/usr/bin/env python3
"""Training steps per network: Convoy against PyTorch and JAX, on the same machine, in the same run, each at its best setting.

    bench/train_step.py --python-torch PATH --python-jax PATH          # interpreters that have torch, and jax with optax

Every round runs every program once, so that a change in the machine's mood touches all of them; the medians over the rounds are
compared. A program's figure in a round is its median step. Writes bench/results/<date>-train_step-<cpu>.md and prints it.
"""
import sys
from pathlib import Path

from measurement import (COUNT, ISAS, PEER_MALLOC, ROOT, SECONDS, THREADS, Options, Program, commit, counted, cpu, first_cores, head, keep, load_before,
                         need_modules, need_programs, page_path, progress)


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


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--python-torch", help="python interpreter that has torch")
    parser.add_argument("--python-jax", help="python interpreter that has jax and optax")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_train_step", help="bench_train_step")
    parser.add_argument("--model", action="append", help="may be repeated (default: mnist-cnn and cifar-cnn)")
    parser.add_argument("--batch", type=COUNT, default=64, help="samples per step")
    parser.add_argument("--threads", type=THREADS, default=2, help="threads, and cores, of each program")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are compared")
    parser.add_argument("--seconds", type=SECONDS, default=4, help="of measurement per program and round")
    parser.add_argument("--isa", choices=ISAS, help="hold everyone to this instruction set")
    parser.add_argument("--compiled", action="store_true", help="try PyTorch compiled, too")
    parser.add_argument("--inference", action="store_true", help="measure forward passes alone, too")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    need_programs(a.binary)
    if a.python_torch:
        need_modules("torch", interpreter=a.python_torch)
    if a.python_jax:
        need_modules("jax", "optax", interpreter=a.python_jax)
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    cores = first_cores(a.threads)
    load = load_before()
    models = a.model or ["mnist-cnn", "cifar-cnn"]
    page = [*head(f"Training steps, batch {a.batch}, {counted(a.threads, 'thread')}{', ' + a.isa if a.isa else ''}",
                  f"{machine}; load before the run: {load:.2f}"),
            f"- medians over {counted(a.rounds, 'interleaved round')} of {a.seconds:g} s per program; a round's figure is the median step",
            "- one step: forward, loss, backward, optimizer (Adam; SGD with momentum for resnet18), on noise in memory; inference: forward alone",
            "- peers run with malloc's thresholds raised, Convoy with the system's defaults"]
    for model, inference in [(model, inference) for inference in (False, True)[:1 + a.inference] for model in models]:
        ours, peers = programs_for(model, a, inference)
        for number in range(a.rounds):
            for program in (ours, *peers):
                progress(number, a.rounds, f"{model}{', inference' * inference}, {program.name} {program.setting}".rstrip())
                program.run(cores)
            print(f"{model}{', inference' * inference} round {number + 1}: " + ", ".join(f"{p.name} {p.setting} {p.rates[-1]:,.0f}" for p in (ours, *peers)),
                  file=sys.stderr, flush=True)
        page.append(table(model + ", inference" * inference, ours, peers))
    text = "\n".join(page) + "\n"
    print(text)
    if not a.dry:
        keep(page_path(f"train_step-{slug}{'-' + a.isa if a.isa else ''}"), text)


if __name__ == "__main__":
    main()
