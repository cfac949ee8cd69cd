#!/usr/bin/env python3
"""Writes the small valid inputs from which the fuzzers start, tests/fuzz/corpus/<target>/*.seed; the same bytes each time.
Inputs that once broke a promise stand beside them under other names, and stay as they are.

    python3 tests/fuzz/make_corpus.py
"""
import gzip
import hashlib
import io
import json
import pathlib
import struct
import tarfile
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def put(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name + ".seed")).write_bytes(content if isinstance(content, bytes) else content.encode())


def gz(content):
    return gzip.compress(content, mtime=0)


def idx(extents, values):
    return struct.pack(f">BBBB{len(extents)}I", 0, 0, 8, len(extents), *extents) + bytes(values)


def tar(files, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content or b"")
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            archive.addfile(entry, io.BytesIO(content or b""))
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def safetensors(tensors, metadata=None):
    """tensors: name to (dtype, shape, bytes)."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def checkpoint(facts):
    """Of the network of fuzz_checkpoint.cpp, conv 2 1; bn; flatten; linear 2, and Adam."""
    parameters = {"0.weight": [2, 1, 1, 1], "0.bias": [2], "1.weight": [2], "1.bias": [2], "3.weight": [2, 4], "3.bias": [2]}
    count = {(2, 4): 8}
    shapes = dict(parameters)
    shapes |= {"1.running_mean": [2], "1.running_var": [2]}
    for i, shape in enumerate([[2, 1, 1, 1], [2], [2], [2], [2, 4], [2]]):
        shapes |= {f"optimizer.{i}.first": shape, f"optimizer.{i}.second": shape}
    tensors = {name: ("F32", shape, floats(*[0.5] * count.get(tuple(shape), 2))) for name, shape in shapes.items()}
    tensors["optimizer.steps"] = ("I32", [6], struct.pack("<6i", *[3] * 6))
    metadata = {"format": "convoy-checkpoint", "version": "1", "sha256": "0" * 64, **facts}
    content = safetensors(tensors, metadata)
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode())


def idx_seeds():
    labels, images = idx([2], [0, 9]), idx([2, 2, 3], range(12))
    for name, content in {"labels": labels, "images": images}.items():
        put("idx", name, content)
        put("idx", name + "_gz", gz(content))
        put("idx", name + "_cut", content[:-1])
    put("idx", "empty_axis", idx([0], []))
    put("idx", "huge", idx([2**32 - 1] * 3, []))
    put("idx", "declares_a_gibibyte", idx([1024] * 3, [1]))
    put("idx", "declares_a_gibibyte_gz", gz(idx([2**30], [1])))
    put("idx", "two_members_gz", gz(labels[:6]) + gz(labels[6:]))


def cifar10_seeds():
    record = bytes([3]) + bytes(i % 7 for i in range(3072))
    put("cifar10", "one", record)
    put("cifar10", "two_gz", gz(record * 2))
    put("cifar10", "label_10", bytes([10]) + record[1:])
    put("cifar10", "cut", record[:-1])


def tar_seeds():
    record = bytes(3073)
    put("tar", "abc", tar({"folder/": None, "folder/abc.txt": b"abc"}))
    put("tar", "cifar10_gz", gz(tar({"b/data_batch_1.bin": record, "b/test_batch.bin": record, "b/readme": b"x" * 600})))
    put("tar", "long_names", tar({"p" * 90 + "/" + "n" * 90: b"1", "abc.txt": b"abc"}))
    put("tar", "pax", tar({"n" * 300: b"1", "ü/abc.txt": b"abc"}, tarfile.PAX_FORMAT))
    put("tar", "gnu", tar({"n" * 300: b"1", "abc.txt": b"abc"}, tarfile.GNU_FORMAT))
    entry = tarfile.TarInfo("abc.txt")
    entry.size = 2**30
    put("tar", "declares_a_gibibyte", entry.tobuf(tarfile.USTAR_FORMAT) + bytes(512))


def safetensors_seeds():
    every = {
        "a": ("F32", [2, 1], floats(1, -2)), "b": ("BF16", [3], bytes(6)), "c": ("F16", [1, 1, 1, 1, 1, 1], bytes(2)),
        "d": ("I32", [], bytes(4)), "e": ("U8", [5], bytes(range(5))), "f": ("F64", [1], struct.pack("<d", 1e300)),
        "g": ("I64", [2], struct.pack("<2q", -2**31, 7)), "h": ("F32", [0, 3], b"")}
    put("safetensors", "every_type", safetensors(every, {"format": "pt", "k\n": "ü"}))
    put("safetensors", "one", safetensors({"weight": ("F32", [1], floats(3))}))
    put("safetensors", "none", safetensors({}))
    put("safetensors", "large_integer", safetensors({"i": ("I64", [1], struct.pack("<q", 2**31))}))


def checkpoint_seeds():
    whole = {"step": "7", "epoch": "2", "samples": "448", "seconds": "0.5", "epoch_loss_sum": "1.5", "epoch_samples": "64",
             "epoch_correct": "9", "epoch_seconds": "0.25", "config": "{}", "log_bytes": "100"}
    evaluated = {"evaluation_loss": "2.25", "evaluation_accuracy": "12.5", "best_loss": "2.25", "best_accuracy": "12.5"}
    times = {f"epoch_{name}_seconds": "0.125" for name in ("copy", "compute", "exchange", "reduce", "communicate", "update")}
    put("checkpoint", "plain", checkpoint(whole))
    put("checkpoint", "evaluated", checkpoint(whole | evaluated | times))
    put("checkpoint", "no_facts", checkpoint({}))


def description_seeds():
    put("description", "every_layer",
        "conv 4 3x3 pad 1; bn; relu; maxpool 2; conv 3 3x5 stride 2 pad 1x2 nobias; gelu; avgpool 3 stride 2 pad 1\n"
        "sigmoid; maxpool 2x1 pad 1x0; tanh; globalavgpool; flatten; dropout 0.5; linear 20 nobias; bn; linear 10\n")
    put("description", "residuals",
        "# größer\nresidual {\n  conv 2 3x3 stride 2 pad 1; residual{conv 2 1; relu}; bn\n}\nshortcut { conv 2 1x1 stride 2 }\n"
        "flatten; linear 10")
    put("description", "huge", "conv 1000000 28; conv 1000000 1; bn; flatten; linear 10")
    put("description", "huge_in_sum", "conv 20000 1; " + "bn; " * 20 + "globalavgpool; flatten; linear 10")
    put("description", "linear", "flatten; linear 10")


CONFIG = {
    "version": "0.1.0", "kernels": "avx512", "model": "flatten; linear 10", "init": None, "dataset": "synthetic", "data": None,
    "holdout": 0, "limit": 64, "augment": "off", "shuffle": "on", "optimizer": "adam", "lr": 0.001, "momentum": 0.9,
    "nesterov": "off", "weight_decay": 0.0, "schedule": "constant", "warmup_steps": 0, "step_every": None, "step_factor": 0.1,
    "label_smoothing": 0.0, "epochs": 5, "batch": 32, "steps": 2, "seed": 1, "device": "cpu", "precision": "fp32",
    "conv_algo": "auto", "graph": "on", "threads": 1, "workers": 1, "strategy": "serial", "ranks": 1, "replicas": 1,
    "reduce": "ring", "shards": 1, "bucket_mb": 1.0, "accumulate": 1, "log_every": 1, "run": "fz", "checkpoint_every": None,
    "keep": 1, "save": None, "trace": None, "training_images": 64, "test_images": 8000}


def config_seeds():
    put("config", "plain", json.dumps(CONFIG, indent=2) + "\n")
    other = {"model": "conv 2 3\nrelu; flatten; linear 10", "dataset": "cifar10", "device": "cuda:1", "strategy": "hybrid",
             "reduce": "tree", "shards": 8, "save": "ü/w.safetensors", "holdout": 10, "validation_images": 10}
    put("config", "other", json.dumps(CONFIG | other, ensure_ascii=False))
    few = ("version", "kernels", "model", "dataset", "threads", "ranks", "replicas", "shards", "training_images", "test_images")
    put("config", "few", json.dumps({key: CONFIG[key] for key in few}))


def config_file_seeds():
    put("config_file", "run", json.dumps(CONFIG))
    put("config_file", "deep", '{"batch": ' + "[" * 3000 + "]" * 3000 + "}")
    put("config_toml", "plain", '# a comment\nmodel = "flatten; linear 10"\nbatch = 3_2\nlr = 1e-3\naugment = true\ndry-run = false\n')
    put("config_toml", "strings", "model = \"\"\"\\\nflatten;\\u0020linear 10\"\"\"\n\"dataset\" = 'synthetic'\nbatch = 0x20\n")
    put("config_toml", "others", "[train]\nbatch = [1, {a.b = 2}]\n[[more]]\nsince = 1979-05-27T07:32:00Z\nlr = -inf\n")
    put("config_toml", "deep", "batch = " + "[" * 3000 + "]" * 3000)


def metrics_seeds():
    step = '{"event":"step","step":50,"epoch":1,"loss":0.3104,"lr":0.001}\n'
    epoch = '{"event":"epoch","epoch":1,"step":938,"train_loss":1.5,"train_accuracy":14.0,"test_loss":2.25,"test_accuracy":11.0,"seconds":0.5'
    times = "".join(f',"{name}_seconds":0.125' for name in ("copy", "compute", "exchange", "reduce", "communicate", "update"))
    summary = '{"event":"summary","%s_accuracy":98.1,"%s_loss":0.06,"seconds":31.2,"samples_per_second":9615}\n'
    put("metrics", "plain", step + epoch + "}\n" + summary % ("test", "test"))
    put("metrics", "parallel", step + epoch + times + "}\n" + summary % ("validation", "validation"))
    put("metrics", "failed", step + '{"event":"failed","message":"step 3 (epoch 1): the loss is nan"}\n')


def png(w, h, kind, depth, rows, palette=b"", interlaced=0):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", w, h, depth, kind, 0, 0, interlaced)) +
            (chunk(b"PLTE", palette) if palette else b"") + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def bmp(w, h, bits, rows, palette=b""):
    offset = 54 + len(palette)
    return (struct.pack("<2sI2HI", b"BM", offset + len(rows), 0, 0, offset) +
            struct.pack("<I2i2H6I", 40, w, h, 1, bits, 0, len(rows), 0, 0, len(palette) // 4, 0) + palette + rows)


# 8 x 8 pixels of one grey: each block is its mean alone. The code tables hold the codes that are used, and no others.
def jpeg(progressive):
    def part(marker, content):
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    def code_table(place, value):
        return part(0xC4, bytes([place, 1] + [0] * 15 + [value]))
    frame = part(0xC2 if progressive else 0xC0, struct.pack(">BHHB3B", 8, 8, 8, 1, 1, 0x11, 0))
    scan = part(0xDA, bytes([1, 1, 0, 0, 0 if progressive else 63, 0]))
    # The mean's difference has 5 bits, code 0: 0, 10100; then the end of the block, code 0; filled with ones.
    return (b"\xff\xd8" + part(0xDB, bytes([0] + [16] * 64)) + frame + code_table(0, 5) + code_table(0x10, 0) + scan +
            b"\x51" + b"\xff\xd9")


def image_seeds():
    grey = bytes([0, 9, 200, 1, 5, 250])
    put("image", "grey", png(2, 2, 0, 8, grey))
    put("image", "grey_16", png(1, 1, 0, 16, bytes([0, 1, 2])))
    put("image", "colour", png(2, 1, 2, 8, bytes([0, 255, 0, 9, 1, 2, 3])))
    put("image", "solidity", png(1, 2, 6, 8, bytes([0, 1, 2, 3, 4, 1, 1, 1, 1, 1])))
    put("image", "palette_interlaced", png(2, 2, 3, 1, bytes([0, 0, 0, 128, 0, 64]), bytes([1, 2, 3, 250, 0, 9]), 1))
    put("image", "declares_64_million", png(8192, 8192, 0, 8, grey))
    put("image", "bmp_24", bmp(1, 2, 24, bytes(range(8))))
    put("image", "bmp_palette", bmp(2, -1, 8, bytes([0, 1, 0, 0]), bytes(range(8))))
    put("image", "jpeg", jpeg(False))
    put("image", "jpeg_progressive", jpeg(True))


if __name__ == "__main__":
    for seeds in (idx_seeds, cifar10_seeds, tar_seeds, safetensors_seeds, checkpoint_seeds, description_seeds, config_seeds, config_file_seeds, metrics_seeds, image_seeds):
        seeds()
