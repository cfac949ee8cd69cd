#!/usr/bin/env python3
"""PyTorch's training step: the same networks, batch, loss and optimizer as bench_train_step, on noise in memory.

    python3 peer_torch.py --model cifar-cnn --batch 64 --threads 2 --layout nhwc     # one JSON line
    python3 peer_torch.py --model cifar-cnn --device cuda --graph                    # on a GPU, the step as one CUDA graph

Its best setting differs by network, so train_step.py tries both layouts; --compile is there to be tried too. It also needs the malloc settings
that train_step.py gives it: glibc's defaults hand large buffers back to the kernel at every step.
"""
import json
import time

from measurement import COUNT, SECONDS, THREADS, Options, need_modules

need_modules("torch")
import torch
import torch.nn as nn
import torch.nn.functional as F


def lenet5():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def mnist_cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(21632, 128), nn.ReLU(), nn.Linear(128, 10))


def cifar_cnn():
    layers, channels = [], 3
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 512), nn.ReLU(), nn.Linear(512, 10))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def resnet18():
    layers, channels = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(BasicBlock(channels, width, stride))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MODELS = {"lenet5": (lenet5, (1, 28, 28)), "mnist-cnn": (mnist_cnn, (1, 28, 28)), "cifar-cnn": (cifar_cnn, (3, 32, 32)), "resnet18": (resnet18, (3, 32, 32))}


def main():
    parser = Options(__doc__)
    parser.add_argument("--model", choices=MODELS, default="mnist-cnn", help="network")
    parser.add_argument("--batch", type=COUNT, default=64, help="samples per step")
    parser.add_argument("--threads", type=THREADS, default=2, help="threads")
    parser.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw", help="layout of images in memory")
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it runs")
    parser.add_argument("--graph", action="store_true", help="on a GPU: capture the step and replay it")
    parser.add_argument("--tf32", action="store_true", help="on a GPU: TF32 products")
    parser.add_argument("--inference", action="store_true", help="forward passes alone")
    parser.add_argument("--seconds", type=SECONDS, default=4, help="of measurement")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = a.tf32

    build, shape = MODELS[a.model]
    memory_format = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format
    net = build().to(a.device, memory_format=memory_format)
    batches = [(torch.rand(a.batch, *shape).mul_(2).sub_(1).to(a.device, memory_format=memory_format),
                torch.randint(0, 10, (a.batch,), device=a.device)) for _ in range(8)]
    optimizer = (torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9) if a.model == "resnet18"
                 else torch.optim.Adam(net.parameters(), lr=1e-3, fused=True, capturable=a.graph))
    model = torch.compile(net) if a.compile else net

    net.train(not a.inference)

    def step(x, y):
        if a.inference:
            with torch.inference_mode():
                return model(x)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def warm_up():
        for i in range(20 if a.compile else 6):
            step(*batches[i % 8])

    if a.graph:
        x, y = (tensor.clone() for tensor in batches[0])
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            warm_up()
        torch.cuda.current_stream().wait_stream(side)
        graph, eager_step = torch.cuda.CUDAGraph(), step
        with torch.cuda.graph(graph):
            eager_step(x, y)

        def step(new_x, new_y):
            x.copy_(new_x)
            y.copy_(new_y)
            graph.replay()
    else:
        warm_up()

    def wait():
        if a.device == "cuda":
            torch.cuda.synchronize()

    wait()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < a.seconds or len(times) < 5:
        start = time.perf_counter()
        step(*batches[len(times) % 8])
        wait()
        times.append(time.perf_counter() - start)
    times.sort()

    def rate(quantile):
        return round(a.batch / times[int((len(times) - 1) * quantile)], 1)
    print(json.dumps({"model": a.model, "batch": a.batch, "threads": a.threads, "version": torch.__version__,
                      "samples_per_second": rate(0.5), "p10": rate(0.9), "p90": rate(0.1), "steps": len(times)}))


if __name__ == "__main__":
    main()
