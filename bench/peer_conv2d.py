#!/usr/bin/env python3
"""PyTorch's convolutions, that is cuDNN's on a GPU and oneDNN's on a CPU: the shapes that bench_conv2d prints, in the same layout (NHWC).

    bench_conv2d --device cuda --precision tf32 > ours.jsonl
    python3 peer_conv2d.py --device cuda --precision tf32 < ours.jsonl          # the same lines with the peer's times

On a GPU cuDNN tries every algorithm it has, the bias is left out, and calls are timed inside a replayed CUDA graph.
"""
import argparse
import json
import sys
import time

import torch


def time_on_cpu(work, seconds):
    work()
    times = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def time_on_gpu(work, seconds, calls=20):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            work()
    graph.replay()
    torch.cuda.synchronize()
    times = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = a.precision == "tf32"
    dtype = torch.bfloat16 if a.precision == "bf16" else torch.float32
    measure = time_on_gpu if a.device == "cuda" else time_on_cpu
    operands = {}
    for line in sys.stdin:
        row = json.loads(line)
        key = tuple(row[letter] for letter in ("n", "h", "w", "c", "k", "r", "stride", "pad"))
        if key not in operands:
            n, h, w, c, k, r, stride, pad = key
            last = dict(memory_format=torch.channels_last)
            x = torch.randn(n, c, h, w, device=a.device, dtype=dtype).contiguous(**last)
            weight = torch.randn(k, c, r, r, device=a.device, dtype=dtype).contiguous(**last)
            operands = {key: (x, weight, torch.randn_like(torch.nn.functional.conv2d(x, weight, None, stride, pad)))}
        x, weight, dy = operands[key]
        stride, pad = row["stride"], row["pad"]

        def backward(mask):
            return torch.ops.aten.convolution_backward(dy, x, weight, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, mask)

        work = {"forward": lambda: torch.nn.functional.conv2d(x, weight, None, stride, pad),
                "backward_input": lambda: backward([True, False, False]),
                "backward_weight": lambda: backward([False, True, False])}[row["direction"]]
        with torch.no_grad():
            seconds = measure(work, a.seconds)
        row["gflops"] = round(row["gflops"] * row["us"] / (seconds * 1e6), 1)
        row["us"] = round(seconds * 1e6, 2)
        row["version"] = f"PyTorch {torch.__version__}" + (f", cuDNN {torch.backends.cudnn.version()}" if a.device == "cuda" else "")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
