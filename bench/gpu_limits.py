#!/usr/bin/env python3
"""What a GPU can do at most, as its vendor's libraries reach it: bandwidth of a device copy, rate of large matrix products. One line.

    PATH bench/gpu_limits.py          # PATH: a python interpreter that has torch
"""

from measurement import Options, need_modules, refuse


def main():
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    limits = [f"copy {2 * source.numel() / time_on_gpu(lambda: target.copy_(source), 0.2, 5) / 1e9:,.0f} GB/s (read and write)"]
    for name, dtype, tf32, n in (("fp32", torch.float32, False, 4096), ("tf32", torch.float32, True, 8192), ("bf16", torch.bfloat16, False, 8192)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        limits.append(f"{name} {2 * n**3 / time_on_gpu(lambda: a @ b, 0.2, 3) / 1e12:,.0f} TFLOP/s")
    print("; ".join(limits))


if __name__ == "__main__":
    Options(__doc__).parse_args()
    need_modules("torch")
    import torch

    from peer_products import time_on_gpu
    if not torch.cuda.is_available():
        refuse("torch sees no GPU here")
    main()
