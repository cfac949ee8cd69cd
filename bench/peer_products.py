#!/usr/bin/env python3
"""PyTorch's products, that is cuDNN's and cuBLAS's on a GPU, oneDNN's and MKL's on a CPU: the shapes that bench_products prints, in the same
layout (NHWC).

    bench_products --device cuda --precision tf32 > ours.jsonl
    python3 peer_products.py --device cuda --precision tf32 < ours.jsonl          # the same lines with the peer's times

On a GPU cuDNN tries every algorithm it has, the bias is left out, and calls are timed inside a replayed CUDA graph. bf16 tensors are bf16 in
memory there, half as many bytes as Convoy moves, which rounds fp32 tensors on the way.
"""
import json
import sys
import time

from measurement import SECONDS, THREADS, Options, need_modules

need_modules("torch")
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


def conv2d_work(row, device, dtype):
    n, h, w, c, k, r, stride, pad = (row[letter] for letter in ("n", "h", "w", "c", "k", "r", "stride", "pad"))
    last = dict(memory_format=torch.channels_last)
    x = torch.randn(n, c, h, w, device=device, dtype=dtype).contiguous(**last)
    weight = torch.randn(k, c, r, r, device=device, dtype=dtype).contiguous(**last)
    dy = torch.randn_like(torch.nn.functional.conv2d(x, weight, None, stride, pad))

    def backward(mask):
        return torch.ops.aten.convolution_backward(dy, x, weight, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, mask)

    return {"forward": lambda: torch.nn.functional.conv2d(x, weight, None, stride, pad),
            "backward_input": lambda: backward([True, False, False]),
            "backward_weight": lambda: backward([False, True, False])}[row["direction"]]


def gemm_work(row, device, dtype):
    m, n, k = row["m"], row["n"], row["k"]
    x, weight, dy = (torch.randn(shape, device=device, dtype=dtype) for shape in ((m, k), (n, k), (m, n)))
    return {"forward": lambda: x @ weight.t(), "backward_input": lambda: dy @ weight, "backward_weight": lambda: dy.t() @ x}[row["direction"]]


def main():
    parser = Options(__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it runs")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32", help="of products")
    parser.add_argument("--threads", type=THREADS, default=2, help="threads")
    parser.add_argument("--seconds", type=SECONDS, default=0.2, help="to measure each line")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = a.precision == "tf32"
    dtype = torch.bfloat16 if a.precision == "bf16" else torch.float32
    measure = time_on_gpu if a.device == "cuda" else time_on_cpu
    version = f"PyTorch {torch.__version__}" + (f", cuDNN {torch.backends.cudnn.version()}" if a.device == "cuda" else "")
    for line in sys.stdin:
        row = json.loads(line)
        work = {"conv2d": conv2d_work, "gemm": gemm_work}[row["what"]](row, a.device, dtype)
        with torch.no_grad():
            seconds = measure(work, a.seconds)
        row |= {"gflops": round(row["gflops"] * row["us"] / (seconds * 1e6), 1), "us": round(seconds * 1e6, 2), "version": version}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
