#!/usr/bin/env python3
"""PyTorch's data-parallel training step: DistributedDataParallel over gloo, each rank a process of its own, on the CPU.

    python3 peer_torch_ddp.py --model cifar-cnn --batch 128 --ranks 2 --threads 1 --layout nhwc       # one JSON line

Networks, batches, loss and optimizer are those of peer_torch.py; --batch is the global batch, --threads are of each rank. Batch norm sees
the part of its rank only, as DDP has it (SyncBatchNorm needs a GPU), and is not broadcast: less communication than Convoy's. One rank
runs without DDP.
"""
import json
import os
import tempfile
import time
import warnings

from measurement import COUNT, SECONDS, THREADS, Options, need_modules, number

need_modules("torch")
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from peer_torch import MODELS

WARM_UP_STEPS = 8


def train(rank, a, meeting_place):
    warnings.simplefilter("ignore", FutureWarning)  # of the next name of broadcast_buffers
    torch.set_num_threads(a.threads)
    torch.manual_seed(rank)
    if a.ranks > 1:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group("gloo", init_method=f"file://{meeting_place}", rank=rank, world_size=a.ranks)
    build, shape = MODELS[a.model]
    memory_format = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format
    net = build().to(memory_format=memory_format).train()
    size = a.batch * (rank + 1) // a.ranks - a.batch * rank // a.ranks
    batches = [(torch.rand(size, *shape).mul_(2).sub_(1).contiguous(memory_format=memory_format), torch.randint(0, 10, (size,)))
               for _ in range(8)]
    optimizer = (torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9) if a.model == "resnet18"
                 else torch.optim.Adam(net.parameters(), lr=1e-3, fused=True))
    model = net if a.ranks == 1 else DistributedDataParallel(net, bucket_cap_mb=a.bucket_mb, gradient_as_bucket_view=True,
                                                             broadcast_buffers=False)

    def step(number):
        start = time.perf_counter()
        x, y = batches[number % 8]
        optimizer.zero_grad(set_to_none=a.ranks == 1)  # gradients that are views of buckets stay
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        return time.perf_counter() - start

    warm = [step(number) for number in range(WARM_UP_STEPS)]
    count = torch.tensor([max(5, int(a.seconds / sorted(warm)[WARM_UP_STEPS // 2]))])
    if a.ranks > 1:
        dist.broadcast(count, 0)
    times = sorted(step(number) for number in range(int(count)))
    if rank == 0:
        def rate(quantile):
            return round(a.batch / times[int((len(times) - 1) * quantile)], 1)
        print(json.dumps({"model": a.model, "batch": a.batch, "ranks": a.ranks, "threads": a.threads, "version": torch.__version__,
                          "samples_per_second": rate(0.5), "p10": rate(0.9), "p90": rate(0.1), "steps": len(times)}), flush=True)
    if a.ranks > 1:
        leave_together()


def leave_together():
    """Ends this process. Not by destroy_process_group(), during which gloo's thread of PyTorch 2.15 aborted once in a few runs."""
    try:
        dist.barrier()
    except RuntimeError:  # the other rank has left already
        pass
    os._exit(0)


def main():
    parser = Options(__doc__)
    parser.add_argument("--model", choices=MODELS, default="cifar-cnn", help="network")
    parser.add_argument("--batch", type=COUNT, default=128, help="samples per step, of all ranks")
    parser.add_argument("--ranks", type=THREADS, default=2, help="processes")
    parser.add_argument("--threads", type=THREADS, default=1, help="threads of each rank")
    parser.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw", help="layout of images in memory")
    parser.add_argument("--bucket-mb", type=number(float, 0.001, 1e6), default=25, help="DDP's bucket_cap_mb")
    parser.add_argument("--seconds", type=SECONDS, default=4, help="of measurement")
    a = parser.parse_args()
    if a.ranks == 1:
        return train(0, a, None)
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(train, (a, os.path.join(folder, "store")), nprocs=a.ranks)


if __name__ == "__main__":
    main()
