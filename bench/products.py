#!/usr/bin/env python3
"""Convolutions and matrix products, shape by shape and direction by direction: Convoy, its peers, and what the machine can do at most.

    bench/products.py                                                                               # convolutions on the CPU
    bench/products.py --what gemm
    bench/products.py --what gemm --peer torch --python-torch PATH --device cuda --precision tf32   # matrix products on a GPU

Peers: `onednn` is oneDNN in the same layout (NHWC), direct; `onednn-best` the fastest of all its layouts and algorithms, Winograd's among them; `blas`
OpenBLAS; `torch` PyTorch, that is cuDNN and cuBLAS on a GPU, oneDNN and MKL on a CPU. Rounds are interleaved and medians over the rounds are
compared. Writes bench/results/<date>-<what>-<device>….md, or into --out, and prints it.
"""
import json
import math
import os
import statistics
from pathlib import Path

from measurement import (COUNT, ISAS, PEER_MALLOC, RESULTS, ROOT, SECONDS, THREADS, Options, answer_of, counted, cpu, first_cores, head, keep,
                         lines_of, load_before, need_modules, need_programs, output_of, page_path, progress)

DIRECTIONS = ("forward", "backward_input", "backward_weight")
# What the peers that are programs of ours can do, and these programs; all on the CPU. torch can do everything everywhere.
PROGRAMS = {"onednn": ("conv2d", "bench_peer_onednn"), "onednn-best": ("conv2d", "bench_peer_onednn"), "blas": ("gemm", "bench_peer_blas")}


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
        cells = [shape_text(row), row["direction"], f"{us:,.0f}", f"{rate:,.0f}"] + ([f"{rate / peak:.0%}"] if peak > 0 else [])
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
    parser = Options(__doc__)
    parser.add_argument("--peer", action="append", choices=(*PROGRAMS, "torch"),
                        help="may be repeated (default: all that are there for --what and --device, torch with --python-torch)")
    parser.add_argument("--python-torch", help="python interpreter that has torch")
    parser.add_argument("--what", choices=("conv2d", "gemm"), default="conv2d", help="convolutions or matrix products")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_products", help="bench_products, beside which the peers are")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where ours, and torch, run")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32", help="of products on a GPU")
    parser.add_argument("--conv-algo", default="auto", help="ours: auto, gemm or winograd; on a GPU im2col, tiled, tensor-core or direct")
    parser.add_argument("--isa", choices=ISAS, help="hold everyone to this instruction set")
    parser.add_argument("--batch", type=COUNT, default=64, help="images of a convolution")
    parser.add_argument("--threads", type=THREADS, default=2, help="OpenMP threads of each program")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are compared")
    parser.add_argument("--seconds", type=SECONDS, default=0.2, help="to measure each shape and direction in a round")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the page")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    able = {name: a.binary.parent / program for name, (what, program) in PROGRAMS.items() if what == a.what and a.device == "cpu"}
    if a.peer is None:
        a.peer = [name for name, program in able.items() if os.access(program, os.X_OK)] + ["torch"] * bool(a.python_torch)
    for name in a.peer:
        if name != "torch" and name not in able:
            parser.error(f"--peer {name} has no {a.what} on {a.device}")
    if "torch" in a.peer and not a.python_torch:
        parser.error("--peer torch needs --python-torch")
    need_programs(a.binary, *[a.binary.parent / "bench_limits"] * (a.device == "cpu"), *[able[name] for name in a.peer if name in able])
    if a.python_torch:
        need_modules("torch", interpreter=a.python_torch)
    return a


def main():
    a = arguments()
    isa = ISAS.get(a.isa, {})
    cores = first_cores(a.threads) if a.device == "cpu" else None
    load = load_before()
    ours, theirs, peaks = [], {name: [] for name in a.peer}, []
    common = ["--device", a.device, "--precision", a.precision, "--threads", a.threads, "--seconds", a.seconds]
    for number in range(a.rounds):
        if a.device == "cpu":
            progress(number, a.rounds, "limits")
            peaks.append(lines_of([a.binary.parent / "bench_limits", "--threads", a.threads], extra=isa, cores=cores)[0]["gflops"])
        progress(number, a.rounds, "Convoy")
        text = output_of([a.binary, *common, "--what", a.what, "--batch", a.batch, "--conv-algo", a.conv_algo], extra=isa, cores=cores)
        ours.append([json.loads(line) for line in text.splitlines()])
        for name in a.peer:
            progress(number, a.rounds, name)
            command, environment = peers_for(a)[name]
            theirs[name].append(lines_of(command, text, environment | isa, cores))
    machine, slug = cpu()
    if a.device == "cuda":
        machine = answer_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or "unknown GPU"
        slug = "-".join(machine.split(",")[0].lower().split())
    peak = statistics.median(peaks) if peaks else 0
    title = f"Convolutions, batch {a.batch}" if a.what == "conv2d" else "Matrix products"
    title += f", {counted(a.threads, 'thread')}" if a.device == "cpu" else f", {a.precision}"
    title += f", conv-algo {a.conv_algo}" * (a.what == "conv2d")
    page = [*head(f"{title}{', ' + a.isa if a.isa else ''}", f"{machine}; load before the run: {load:.2f}"),
            "- peers: " + ("; ".join(f"{name}: {rounds[-1][-1]['version']}" for name, rounds in theirs.items()) or "none"),
            f"- medians over {counted(a.rounds, 'interleaved round')}; every tap is counted, those in the padding too, and those that an algorithm saves"]
    if peak:
        page.append(f"- peak: {peak:.0f} GFLOP/s of multiply-adds from registers (`bench_limits`), the median of the rounds")
    text = "\n".join([*page, "", table(ours, theirs, peak)]) + "\n"
    print(text)
    name = [a.what, slug] + ([a.precision] if a.device == "cuda" else [counted(a.threads, "thread").replace(" ", "-")])
    name += [f"batch{a.batch}", a.conv_algo] if a.what == "conv2d" else []
    if not a.dry:
        keep(page_path("-".join(name + [a.isa] * bool(a.isa)), a.out), text)


if __name__ == "__main__":
    main()
