#!/usr/bin/env python3
"""Writes tests/reference_data/cifar_cnn_logits.json: what PyTorch's cifar-cnn makes of four images with a state dict of random weights.

    python3 tests/layers/cifar_cnn_logits.py > tests/reference_data/cifar_cnn_logits.json

Weights and images are a formula (tests/uniform.h), so that nothing but the logits is stored, and the SHA-256 of the weights: their bytes as
float32, one tensor behind the other in the order of their names. test_pytorch_weights.cpp makes the same numbers. PyTorch computes in float64,
so that the logits are right to the last digit that float32 could show. Made with PyTorch 2.15.
"""
import hashlib
import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torch"))
from compare_with_torch import CifarCnn  # noqa: E402

IMAGES = 4


def uniform(seed, shape):
    """float32 numbers in [0, 1) as tests/uniform.h has them."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) / np.float32(16777216)).reshape(shape)


def centred(seed, shape, scale):
    """In [-scale, scale); exact, because scale is a power of two."""
    return (uniform(seed, shape) * np.float32(2) - np.float32(1)) * np.float32(scale)


def scale_of(shape):
    """The largest power of two with which a sum of so many products keeps its size."""
    fan_in, scale = int(np.prod(shape[1:])), 1.0
    while scale * scale * fan_in > 3:
        scale /= 2
    return scale


def value_of(name, seed, shape):
    if name.startswith("bn"):
        one = name.endswith((".weight", ".running_var"))
        return np.float32(1 if one else 0) + centred(seed, shape, 0.5)
    return centred(seed, shape, scale_of(shape) if name.endswith(".weight") else 0.125)


net = CifarCnn().eval()
names = sorted(name for name in net.state_dict() if not name.endswith("num_batches_tracked"))
state = {name: value_of(name, 1000 + i, net.state_dict()[name].shape) for i, name in enumerate(names)}
net.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
images = torch.from_numpy(centred(2000, (IMAGES, 3, 32, 32), 2))
with torch.no_grad():
    logits = net.double()(images.double())
digest = hashlib.sha256(b"".join(state[name].tobytes() for name in names)).hexdigest()
print(json.dumps({"weights_sha256": digest, "logits": logits.tolist()}, indent=1))
