#!/usr/bin/env python3
"""Trains twenty steps with `convoy` and with PyTorch from the same weights on the same images, and compares.

    compare_with_torch.py --convoy build/apps/convoy [--data DIR] [--model mnist-cnn …]

For each model PyTorch draws the initial weights and writes them as safetensors; `convoy train --init … --save …` starts there. PyTorch makes
the same steps in float64, the reference, and in float32, the yardstick: a float32 engine may stray from the reference 20 times as far as
PyTorch's own float32 run does (see `Bound`). Images are read from the original files, in their order, without augmentation.

Exit codes: 0 all models follow, 1 one does not, 77 nothing could be compared (no torch, no data): ctest shows that as skipped.
"""
import argparse
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

SKIPPED = 77

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: no torch ({missing})")
    sys.exit(SKIPPED)

STEPS = 20


# --- the networks, in PyTorch's words ---------------------------------------------------------------------------------------


class MnistCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.fc1 = nn.Linear(26 * 26 * 32, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(F.relu(self.conv1(x)).flatten(1))))


class CifarCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.conv3, self.bn3 = nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128)
        self.fc1 = nn.Linear(2048, 512)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x):
        for conv, bn in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = F.max_pool2d(F.relu(bn(conv(x))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


# --- the data, from the original files ----------------------------------------------------------------------------------------


def find_folder(roots, usual_name, file):
    for root in roots:
        for folder in (root / usual_name, root):
            if (folder / file).exists() or (folder / f"{file}.gz").exists():
                return folder
    return None


def mnist(roots, count):
    folder = find_folder(roots, "mnist", "train-images-idx3-ubyte")
    if folder is None:
        return None

    def content(name, header):
        plain = folder / name
        data = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    images = content("train-images-idx3-ubyte", 16)[:count * 784].reshape(count, 1, 28, 28)
    return normalised(images, [0.5], [0.5]), content("train-labels-idx1-ubyte", 8)[:count].astype(np.int64)


def cifar10(roots, count):
    folder = find_folder(roots, "cifar-10-batches-bin", "data_batch_1.bin")
    if folder is None:
        return None
    records = np.fromfile(folder / "data_batch_1.bin", np.uint8).reshape(-1, 3073)[:count]
    images = records[:, 1:].reshape(count, 3, 32, 32)
    return (normalised(images, [.4914, .4822, .4465], [.2471, .2435, .2616]), records[:, 0].astype(np.int64))


def normalised(images, mean, std):
    """float32 numbers, for the float64 run too: it is the reference for the training, not for reading images."""
    shape = (1, -1, 1, 1)
    pixels = images.astype(np.float64) / 255
    return ((pixels - np.reshape(mean, shape)) / np.reshape(std, shape)).astype(np.float32)


# --- safetensors --------------------------------------------------------------------------------------------------------------


def write_safetensors(path, state):
    types = {torch.float32: "F32", torch.int64: "I64"}
    header, data = {}, b""
    for name, tensor in state.items():
        raw = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": types[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    content = path.read_bytes()
    length, = struct.unpack_from("<Q", content)
    header, state = json.loads(content[8:8 + length]), {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", (name, entry)
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[8 + length + begin:8 + length + end], np.float32)
        state[name] = torch.from_numpy(values.copy().reshape(entry["shape"]))
    return state


# --- the two runs -------------------------------------------------------------------------------------------------------------


def train_with_torch(case, start, images, labels, dtype):
    net = case["net"]()
    net.load_state_dict(start)
    net = net.to(dtype).train()
    optimizer = case["optimizer"](net.parameters())
    losses = []
    for x, y in zip(torch.from_numpy(images).to(dtype).split(case["batch"]), torch.from_numpy(labels).split(case["batch"])):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), net.state_dict()


def train_with_convoy(convoy, data, model, case, start, folder):
    write_safetensors(folder / "start.safetensors", start)
    command = [str(convoy), "train", "--model", model, "--dataset", case["dataset"], "--init", str(folder / "start.safetensors"),
               "--save", str(folder / "end.safetensors"), "--run", str(folder / "run"), "--batch", str(case["batch"]), "--steps", str(STEPS),
               "--log-every", "1", "--shuffle", "off", "--augment", "off", "--schedule", "constant",
               "--holdout", "100",  # keeps the evaluation at the end short
               *case["options"], *(["--data", str(data)] if data else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nexit code {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    events = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    return np.array(losses), read_safetensors(folder / "end.safetensors")


# --- the comparison -----------------------------------------------------------------------------------------------------------


class Bound:
    """How far from the float64 reference is far enough to be wrong.

    20 times as far as PyTorch's own float32 run is. One float32 run can come close by luck, so its distance counts as at least FLOOR: each of
    the 20 updates rounds a weight by up to 2^-24 of its size, and the gradient that it applies was rounded at every layer in much the same way.
    """
    FACTOR = 20
    FLOOR = STEPS * 2.0**-24

    @classmethod
    def used_by_tensor(cls, ours, float32, reference):
        """The part of the bound that `ours` uses: above 1 is wrong. Differences are relative to the root mean square."""
        ours, float32, reference = (np.asarray(a, np.float64) for a in (ours, float32, reference))
        scale = max(np.sqrt(np.mean(reference**2)), 1e-30)
        return cls._largest(np.abs(ours - reference).max() / scale, np.abs(float32 - reference).max() / scale)

    @classmethod
    def used_by_losses(cls, ours, float32, reference):
        """Step by step: each loss may stray as far as float32 had strayed by then, so the first steps are held tightly."""
        strayed = np.maximum.accumulate(np.abs(float32 - reference) / reference)
        return cls._largest(np.abs(ours - reference) / reference, strayed)

    @classmethod
    def _largest(cls, difference, yardstick):
        part = np.max(difference / (cls.FACTOR * np.maximum(yardstick, cls.FLOOR)))
        return part if np.isfinite(part) else np.inf


CASES = {
    "mnist-cnn": dict(net=MnistCnn, dataset="mnist", load=mnist, batch=64, options=["--optimizer", "adam", "--lr", "0.001"],
                      optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3)),
    "cifar-cnn": dict(net=CifarCnn, dataset="cifar10", load=cifar10, batch=64, options=["--optimizer", "adam", "--lr", "0.001"],
                      optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3)),
    # A smaller batch keeps the float64 run to a minute or two.
    "resnet18": dict(net=ResNet18, dataset="cifar10", load=cifar10, batch=16,
                     options=["--optimizer", "sgd", "--lr", "0.01", "--momentum", "0.9", "--nesterov", "on", "--weight-decay", "0.0005"],
                     optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)),
}


def compare(model, case, images, labels, arguments):
    torch.manual_seed(1)
    start = case["net"]().state_dict()
    with tempfile.TemporaryDirectory() as folder:
        losses, state = train_with_convoy(arguments.convoy, arguments.data, model, case, start, pathlib.Path(folder))
    reference_losses, reference = train_with_torch(case, start, images, labels, torch.float64)
    float32_losses, float32 = train_with_torch(case, start, images, labels, torch.float32)

    if len(losses) != STEPS:
        print(f"{model}: {len(losses)} losses in metrics.jsonl, expected {STEPS}")
        return False
    case["net"]().load_state_dict(state)  # PyTorch takes what convoy saved, nothing missing and nothing left over
    parts = {"loss": Bound.used_by_losses(losses, float32_losses, reference_losses)}
    for name, tensor in reference.items():
        if not name.endswith("num_batches_tracked"):
            parts[name] = Bound.used_by_tensor(state[name], float32[name], tensor)
    follows = all(part <= 1 for part in parts.values())
    worst = sorted(parts, key=parts.get)[-1]
    print(f"{model}: loss {losses[0]:.6f} -> {losses[-1]:.6f} (PyTorch {reference_losses[0]:.6f} -> {reference_losses[-1]:.6f}); of the "
          f"allowed difference the losses use {parts['loss']:.1%}, the worst tensor ({worst}) {parts[worst]:.1%}: "
          f"{'follows' if follows else 'DOES NOT FOLLOW'}")
    for name, part in parts.items():
        if arguments.verbose or part > 1:
            print(f"  {name}: {part:.1%}")
    return follows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--convoy", type=pathlib.Path, required=True, help="the convoy binary")
    parser.add_argument("--data", type=pathlib.Path, help="folder of the data sets; else $CONVOY_DATA")
    parser.add_argument("--model", action="append", choices=CASES, help="only this one; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="print every tensor")
    arguments = parser.parse_args()

    roots = [pathlib.Path(root) for root in (arguments.data, os.environ.get("CONVOY_DATA")) if root]
    results = {}
    for model in arguments.model or CASES:
        case = CASES[model]
        data = case["load"](roots, STEPS * case["batch"])
        if data is None:
            print(f"{model}: skipped, no {case['dataset']} files in {', '.join(map(str, roots)) or '--data or $CONVOY_DATA'}")
        else:
            results[model] = compare(model, case, *data, arguments)
    if not results:
        return SKIPPED
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
