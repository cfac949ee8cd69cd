#!/usr/bin/env python3
"""Reads what `convoy export` has written as its readers do, and compares.

    check_export.py torch --file w.safetensors --model cifar-cnn --images test_batch.bin --logits logits.npy
    check_export.py onnx --file net.onnx --images test_batch.bin --logits logits.npy
    check_export.py npz --file w.npz --weights w.safetensors

Images are CIFAR-10 records; `logits.npy` is what `convoy eval --logits` made of them. PyTorch and ONNX Runtime have to agree with it to 1e-5 of
the largest logit; numpy has to find the very tensors of the safetensors file.

Exit codes: 0 they agree, 1 they do not, 77 the reader is not installed.
"""
import argparse
import json
import pathlib
import struct
import sys

SKIPPED = 77
TOLERANCE = 1e-5
MEAN, STD = (.4914, .4822, .4465), (.2471, .2435, .2616)


def images_of(path):
    """[N,3,32,32], as docs/interchange.md says that networks get them."""
    pixels = np.fromfile(path, np.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    mean, std = (np.array(numbers, np.float32).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (pixels.astype(np.float32) / 255 - mean) / std


def agree(theirs, path):
    ours = np.load(path)
    if theirs.shape != ours.shape:
        print(f"logits {theirs.shape}, Convoy has {ours.shape}")
        return False
    difference = np.abs(theirs - ours).max() / np.abs(ours).max()
    print(f"{len(ours)} images, the largest difference is {difference:.1e} of the largest logit")
    return bool(difference <= TOLERANCE and ours.std() > 0)


def check_torch(arguments):
    import torch
    from compare_with_torch import CASES, read_safetensors
    net = CASES[arguments.model]["net"]().eval()
    net.load_state_dict(read_safetensors(arguments.file), strict=True)
    with torch.no_grad():
        return agree(net(torch.from_numpy(images_of(arguments.images))).numpy(), arguments.logits)


def check_onnx(arguments):
    import onnxruntime
    try:
        import onnx
        onnx.checker.check_model(str(arguments.file), full_check=True)
    except ImportError as missing:
        print(f"not checked against the specification: {missing}")
    session = onnxruntime.InferenceSession(str(arguments.file), providers=["CPUExecutionProvider"])
    source, = session.get_inputs()
    target, = session.get_outputs()
    assert (source.name, source.shape) == ("images", ["batch", 3, 32, 32]), (source.name, source.shape)
    assert (target.name, target.shape) == ("logits", ["batch", 10]), (target.name, target.shape)
    images = images_of(arguments.images)
    pieces = [session.run(["logits"], {"images": piece})[0] for piece in (images[:1], images[1:])]  # any batch
    return agree(np.concatenate(pieces), arguments.logits)


def check_npz(arguments):
    content = arguments.weights.read_bytes()
    length, = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    arrays = np.load(arguments.file)
    if sorted(arrays.files) != sorted(header):
        print(f"tensors {sorted(arrays.files)}, expected {sorted(header)}")
        return False
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = arrays[name]
        if array.dtype != np.float32 or list(array.shape) != entry["shape"] or array.tobytes() != content[begin:end]:
            print(f"{name}: differs")
            return False
    print(f"{len(header)} tensors are the same")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=("torch", "onnx", "npz"))
    parser.add_argument("--file", type=pathlib.Path, required=True)
    parser.add_argument("--model")
    for name in ("images", "logits", "weights"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    arguments = parser.parse_args()
    check = {"torch": check_torch, "onnx": check_onnx, "npz": check_npz}[arguments.reader]
    try:
        return 0 if check(arguments) else 1
    except ModuleNotFoundError as missing:
        print(f"skipped: {missing}")
        return SKIPPED


try:
    import numpy as np
except ImportError as missing_numpy:
    print(f"skipped: {missing_numpy}")
    sys.exit(SKIPPED)

if __name__ == "__main__":
    sys.exit(main())
