#!/usr/bin/env python3
"""Convolutions and matrix products, shape by shape and direction by direction: Convoy, its peers, and what the machine can do at most.

    bench/products.py --peer onednn --peer onednn-best                                              # convolutions on the CPU
    bench/products.py --what gemm --peer blas
    bench/products.py --what gemm --peer torch --python-torch PATH --device cuda --precision tf32   # matrix products on a GPU

Peers: `onednn` is oneDNN in the same layout (NHWC), direct; `onednn-best` the fastest of all its layouts and algorithms, Winograd's among them; `blas`
OpenBLAS; `torch` PyTorch, that is cuDNN and cuBLAS on a GPU, oneDNN and MKL on a CPU. Rounds are interleaved and medians over the rounds are
compared. Writes bench/results/<date>-<what>-<device>….md, or into --out, and prints it.
"""
import argparse
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from train_step import ISAS, MEDDLING, PEER_MALLOC, ROOT, commit, cpu, output_of

DIRECTIONS = ("forward", "backward_input", "backward_weight")


def lines_of(command, text=None, extra=None):
    environment = {k: v for k, v in os.environ.items() if not MEDDLING.match(k)} | (extra or {})
    result = subprocess.run([str(word) for word in command], input=text, stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode != 0:
        sys.exit(f"products: '{' '.join(map(str, command))}' ended with code {result.returncode}")
    return result.stdout


def peers_for(a):
    """name -> command and environment; each reads our lines and prints the same with its own times."""
    common = ["--threads", a.threads, "--seconds", a.seconds]
    bench = a.binary.parent
    return {
        "onednn": ([bench / "bench_peer_onednn", *common], {}),
        "onednn-best": ([bench / "bench_peer_onednn", *common, "--layout", "best"], {}),
        "blas": ([bench / "bench_peer_blas", "--seconds", a.seconds], {"OMP_NUM_THREADS": str(a.threads)}),
        "torch": ([a.python_torch, ROOT / "bench/peer_products.py", *common, "--device", a.device, "--precision", a.precision], PEER_MALLOC)}


def shape_text(row):
    if row["what"] == "gemm":
        return f"{row['m']}×{row['n']}×{row['k']}"
    return (f"{row['n']},{row['c']}×{row['h']}×{row['w']}→{row['k']}, k{row['r']}" + (f" p{row['pad']}" if row["pad"] else "")
            + (f" s{row['stride']}" if row["stride"] > 1 else ""))


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def median_us(rounds, i):
    return statistics.median(rows[i]["us"] for rows in rounds)


def table(ours, peers, peak):
    """ours: rows of each round; peers: name -> the same; peak in GFLOP/s, 0 for unknown."""
    head = "| shape | direction | Convoy µs | GFLOP/s |" + " of peak |" * (peak > 0)
    lines = [head + "".join(f" {name} µs | Convoy is |" for name in peers), "|---|---|--:|--:|" + "--:|" * (peak > 0) + "--:|--:|" * len(peers)]
    ratios = {name: {} for name in peers}
    for i, row in enumerate(ours[0]):
        us = median_us(ours, i)
        rate = row["gflops"] * row["us"] / us
        cells = [shape_text(row), row["direction"], f"{us:,.0f}", f"{rate:,.0f}"] + [f"{rate / peak:.0%}"] * (peak > 0)
        for name, rounds in peers.items():
            theirs = median_us(rounds, i)
            ratios[name].setdefault(row["direction"], []).append(theirs / us)
            setting = rounds[-1][i].get("setting", "")
            cells += [f"{theirs:,.0f}" + f" ({setting})" * (name == "onednn-best"), f"{theirs / us:.2f}×"]
        lines.append("| " + " | ".join(cells) + " |")
    for name, by_direction in ratios.items():
        everything = sum(by_direction.values(), [])
        lines.append(f"\nAgainst {name}: geometric mean **{geometric_mean(everything):.2f}×**, lowest {min(everything):.2f}×; "
                     + ", ".join(f"{d} {geometric_mean(by_direction[d]):.2f}×" for d in DIRECTIONS) + ".")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", choices=("onednn", "onednn-best", "blas", "torch"), help="may be repeated")
    parser.add_argument("--python-torch", help="python interpreter that has torch")
    parser.add_argument("--what", choices=("conv2d", "gemm"), default="conv2d")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_products")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--conv-algo", default="auto")
    parser.add_argument("--isa", choices=ISAS, help="hold everyone to this instruction set")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results")
    a = parser.parse_args()
    a.peer = a.peer or ["torch"]
    if "torch" in a.peer and not a.python_torch:
        parser.error("--peer torch needs --python-torch")
    return a


def main():
    a = arguments()
    isa = ISAS.get(a.isa, {})
    ours, theirs, peaks = [], {name: [] for name in a.peer}, []
    common = ["--device", a.device, "--precision", a.precision, "--threads", a.threads, "--seconds", a.seconds]
    for number in range(a.rounds):
        if a.device == "cpu":
            peaks.append(json.loads(lines_of([a.binary.parent / "bench_limits", "--threads", a.threads], extra=isa))["gflops"])
        text = lines_of([a.binary, *common, "--what", a.what, "--batch", a.batch, "--conv-algo", a.conv_algo], extra=isa)
        ours.append([json.loads(line) for line in text.splitlines()])
        for name in a.peer:
            command, environment = peers_for(a)[name]
            theirs[name].append([json.loads(line) for line in lines_of(command, text, environment | isa).splitlines()])
        print(f"products: round {number + 1} of {a.rounds}", file=sys.stderr, flush=True)
    machine, slug = cpu()
    if a.device == "cuda":
        machine = output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or "unknown GPU"
        slug = "-".join(machine.split(",")[0].lower().split())
    peak = statistics.median(peaks) if peaks else 0
    title = f"Convolutions, batch {a.batch}" if a.what == "conv2d" else "Matrix products"
    title += f", {a.threads} thread{'s' * (a.threads > 1)}" if a.device == "cpu" else f", {a.precision}"
    title += f", conv-algo {a.conv_algo}" * (a.what == "conv2d")
    page = [f"# {title}{', ' + a.isa if a.isa else ''}\n", f"- date: {datetime.date.today()}, commit: {commit()}", f"- machine: {machine}",
            "- peers: " + "; ".join(f"{name}: {rounds[-1][-1]['version']}" for name, rounds in theirs.items()),
            f"- medians over {a.rounds} interleaved rounds; every tap is counted, those in the padding too, and those that an algorithm saves"]
    if peak:
        page.append(f"- peak: {peak:.0f} GFLOP/s of multiply-adds from registers (`bench_limits`), the median of the rounds")
    text = "\n".join([*page, "", table(ours, theirs, peak)]) + "\n"
    print(text)
    name = [str(datetime.date.today()), a.what, slug] + ([a.precision] if a.device == "cuda" else [f"{a.threads}-thread{'s' * (a.threads > 1)}"])
    name += [f"batch{a.batch}", a.conv_algo] if a.what == "conv2d" else []
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / f"{'-'.join(name + [a.isa] * bool(a.isa))}.md").write_text(text)


if __name__ == "__main__":
    main()
