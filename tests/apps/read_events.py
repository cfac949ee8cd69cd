#!/usr/bin/env python3
"""Reads the event file of a training with TensorBoard's own reader, and compares it with the training's metrics.jsonl.

    read_events.py --convoy build/release/apps/convoy

Exit code 77, which ctest shows as skipped, where python has no tensorboard.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print("SKIPPED: this python has no tensorboard")
    sys.exit(77)


def float32(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def expected(run):
    """Tag to (step, value) of all that the log tells."""
    scalars = {}
    for event in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        told = {"step": {"loss/train": "loss", "lr": "lr"},
                "epoch": {"loss/train_epoch": "train_loss", "loss/validation": "validation_loss",
                          "accuracy/train_epoch": "train_accuracy", "accuracy/validation": "validation_accuracy"}}.get(event["event"], {})
        for tag, key in told.items():
            scalars.setdefault(tag, []).append((event["step"], float32(event[key])))
    return scalars


def found(run):
    accumulator = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    scalars = {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}
    return scalars, accumulator.file_version


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", required=True, help="the program under test")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="convoy-events-") as folder:
        run = Path(folder, "run")
        subprocess.run([os.path.realpath(a.convoy), "train", "--dataset", "synthetic", "--limit", "500", "--holdout", "100", "--epochs", "3",
                        "--batch", "20", "--log-every", "1", "--schedule", "cosine", "--model", "flatten; linear 10", "--plots", "off", "--run", run],
                       check=True, stdout=subprocess.DEVNULL)
        scalars, version = found(run)
        wanted = expected(run)
        if version != 2 or scalars != wanted:
            sys.exit(f"version {version}; tensorboard reads {scalars}, the log has {wanted}")
        print(f"{sum(map(len, wanted.values()))} numbers of {len(wanted)} scalars as in the log: {', '.join(sorted(wanted))}")


if __name__ == "__main__":
    main()
