#!/usr/bin/env python3
"""Convolutions and matrix products, shape by shape and direction by direction: Convoy against PyTorch, that is cuDNN and cuBLAS on a GPU,
oneDNN and MKL on a CPU.

    bench/products.py --python-torch PATH                                                # convolutions on the CPU
    bench/products.py --python-torch PATH --what gemm --device cuda --precision tf32     # matrix products on a GPU

Rounds are interleaved and medians over the rounds are compared. Writes bench/results/<date>-<what>-<device>….md, or into --out, and prints it.
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

from train_step import MEDDLING, PEER_MALLOC, ROOT, commit, cpu, output_of

DIRECTIONS = ("forward", "backward_input", "backward_weight")


def lines_of(command, text=None, extra=None):
    environment = {k: v for k, v in os.environ.items() if not MEDDLING.match(k)} | (extra or {})
    result = subprocess.run([str(word) for word in command], input=text, stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode != 0:
        sys.exit(f"products: '{' '.join(map(str, command))}' ended with code {result.returncode}")
    return result.stdout


def shape_text(row):
    if row["what"] == "gemm":
        return f"{row['m']}×{row['n']}×{row['k']}"
    return (f"{row['n']},{row['c']}×{row['h']}×{row['w']}→{row['k']}, k{row['r']}" + (f" p{row['pad']}" if row["pad"] else "")
            + (f" s{row['stride']}" if row["stride"] > 1 else ""))


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(name, rounds):
    """rounds: list of (our rows, the peer's rows), rows in the same order."""
    ours, theirs = ([statistics.median(pair[side][i]["us"] for pair in rounds) for i in range(len(rounds[0][0]))] for side in (0, 1))
    rows = rounds[0][0]
    lines = ["| shape | direction | Convoy µs | GFLOP/s | peer µs | GFLOP/s | Convoy is |", "|---|---|--:|--:|--:|--:|--:|"]
    for row, a, b in zip(rows, ours, theirs):
        work = row["gflops"] * row["us"]
        lines.append(f"| {shape_text(row)} | {row['direction']} | {a:,.1f} | {work / a:,.0f} | {b:,.1f} | {work / b:,.0f} | {b / a:.2f}× |")
    for direction in DIRECTIONS:
        ratios = [b / a for row, a, b in zip(rows, ours, theirs) if row["direction"] == direction]
        lines.append(f"\n{name}, {direction}: geometric mean **{geometric_mean(ratios):.2f}×**, lowest {min(ratios):.2f}×.")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python-torch", required=True)
    parser.add_argument("--what", choices=("conv2d", "gemm"), default="conv2d")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_products")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--conv-algo", default="auto")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results")
    a = parser.parse_args()
    common = ["--device", a.device, "--precision", a.precision, "--threads", a.threads, "--seconds", a.seconds]
    rounds, version = [], ""
    for number in range(a.rounds):
        text = lines_of([a.binary, *common, "--what", a.what, "--batch", a.batch, "--conv-algo", a.conv_algo])
        peer = lines_of([a.python_torch, ROOT / "bench/peer_products.py", *common], text, PEER_MALLOC)
        rounds.append(tuple([json.loads(line) for line in side.splitlines()] for side in (text, peer)))
        version = rounds[-1][1][-1]["version"]
        print(f"products: round {number + 1} of {a.rounds}", file=sys.stderr, flush=True)
    machine, slug = cpu()
    if a.device == "cuda":
        machine = output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or "unknown GPU"
        slug = "-".join(machine.split(",")[0].lower().split())
    title = f"Convolutions, batch {a.batch}" if a.what == "conv2d" else "Matrix products"
    page = [f"# {title}, {a.precision}, {'threads ' + str(a.threads) if a.device == 'cpu' else 'conv-algo ' + a.conv_algo}\n",
            f"- date: {datetime.date.today()}, commit: {commit()}", f"- machine: {machine}", f"- peer: {version}, channels last, bias left out",
            f"- medians over {a.rounds} interleaved rounds; every tap is counted, those in the padding too\n", table("Convoy against its peer", rounds)]
    text = "\n".join(page) + "\n"
    print(text)
    suffix = f"-batch{a.batch}" if a.what == "conv2d" else ""
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / f"{datetime.date.today()}-{a.what}-{slug}-{a.precision}{suffix}.md").write_text(text)


if __name__ == "__main__":
    main()
