#!/usr/bin/env python3
"""How far would data-parallel training scale? An alpha-beta-gamma model, fitted to what was measured here, drawn to 4,096 ranks.

    bench/all_reduce.py                                  # measures the all-reduce
    bench/scaling_model.py --data DIR                    # measures steps, fits, predicts, checks

It writes bench/results/<date>-scaling_model-<cpu>.md with plots beside it (gnuplot). Only the rows marked "measured" are measured; all
else is a prediction under the assumptions that the page lists.
"""
import json
import math
import os
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from measurement import (COUNT, RESULTS, ROOT, SECONDS, Options, cpu, head, keep, lines_of, listed, load_before, need_command, need_programs, number,
                         output_of, page_path, progress)
from scaling_plots import draw
from strategies import Training

RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
# Per-rank batches whose steps are timed on one thread; the middle one is that of weak scaling, the global batch of strong scaling follows.
MODELS = {"mnist-cnn": ("mnist", (16, 64, 128), 4096), "cifar-cnn": ("cifar10", (16, 64, 128), 4096), "resnet18": ("cifar10", (4, 8, 16), 4096)}


# --- the model ---------------------------------------------------------------------------------------------------------------


@dataclass
class Link:
    """Between ranks: alpha seconds per message, beta seconds per byte on the way, gamma seconds per byte added."""
    name: str
    alpha: float
    beta: float
    gamma: float
    core_moves_bytes: bool  # the copying is done by the core that also computes, as in shared memory; else by the network

    def all_reduce(self, size, ranks, algorithm):
        """(seconds, of these on the core)"""
        if ranks == 1:
            return 0.0, 0.0
        messages = 2 * (ranks - 1) if algorithm == "ring" else 2 * math.ceil(math.log2(ranks))
        share = (ranks - 1) / ranks
        moving, adding = 2 * share * size * self.beta, share * size * self.gamma
        return messages * self.alpha + moving + adding, adding + moving * self.core_moves_bytes

    def all_gather(self, size, ranks):
        """Bruck's algorithm: log2 R messages, and in the end R - 1 times the data."""
        return math.ceil(math.log2(ranks)) * self.alpha + (ranks - 1) * size * self.beta


@dataclass
class Layer:
    parameters: list  # counts, in the order of the network
    multiply_adds: int
    batch_norm: int  # channels; 0: none


@dataclass
class Network:
    name: str
    layers: list
    fixed: float  # seconds of a step that no batch size changes: the update above all
    per_sample: float

    def buckets(self, bucket_bytes):
        """(bytes, share of backward after which they are complete), as gradient_buckets.h fills them."""
        total = sum(layer.multiply_adds for layer in self.layers)
        buckets, done = [], 0
        for layer in reversed(self.layers):
            done += layer.multiply_adds
            for count in reversed(layer.parameters):
                size = 4 * count
                if buckets and buckets[-1][0] + size <= bucket_bytes:
                    size += buckets.pop()[0]
                buckets.append((size, done / total))
        return buckets

    def step(self, samples, ranks, link, algorithm, bucket_bytes):
        """Seconds of a step with so many samples on each rank."""
        compute = self.per_sample * samples
        exchanges = sum(link.all_gather(8 * (1 + 2 * layer.batch_norm), ranks) + link.all_gather(16 * layer.batch_norm, ranks)
                        for layer in self.layers if layer.batch_norm) if ranks > 1 else 0.0
        losses = link.all_gather(32, ranks) if ranks > 1 else 0.0
        forward, backward = (compute + exchanges) / 3, (compute + exchanges) * 2 / 3
        busy, on_core = forward, 0.0  # when the communicating thread is done; what it took from the core
        for size, share in self.buckets(bucket_bytes):
            seconds, core = link.all_reduce(size, ranks, algorithm)
            busy = max(busy, forward + share * backward + on_core) + seconds
            on_core += core
        return max(forward + backward + on_core + losses, busy) + self.fixed


def efficiency(network, samples, one, ranks, link, algorithm, bucket_bytes):
    """Samples per second and rank, of those that one rank alone makes with `one` samples."""
    alone = one / network.step(one, 1, link, algorithm, bucket_bytes)
    return samples / network.step(samples, ranks, link, algorithm, bucket_bytes) / alone


# --- fitting -----------------------------------------------------------------------------------------------------------------


def fit(points):
    """(a, b) of y = a u + b v for points (u, v, y): least squares of relative errors, neither below 0."""
    uu = uv = vv = uy = vy = 0.0
    for u, v, y in points:
        u, v = u / y, v / y
        uu, uv, vv, uy, vy = uu + u * u, uv + u * v, vv + v * v, uy + u, vy + v
    determinant = uu * vv - uv * uv
    if determinant > 0:
        a, b = (uy * vv - vy * uv) / determinant, (vy * uu - uy * uv) / determinant
        if a >= 0 and b >= 0:
            return a, b
    return (uy / uu, 0.0) if uu > 0 and (vv == 0 or uy * uy / uu > vy * vy / vv) else (0.0, vy / vv)


def fit_link(lines, algorithm, cores):
    """The link as this algorithm sees it, from the points that had a core for each rank; and its relative errors by size."""
    points = [line for line in lines if line["transport"] == "mpi" and 1 < line["ranks"] <= cores]
    if not points:
        sys.exit("scaling_model: no all-reduce of 2 ranks was measured with a core for each")
    added = [(1.0, line["bytes"], line["seconds"]) for line in points if line["algorithm"] == "add" and line["bytes"] >= 1 << 20]
    _, gamma = fit(added)
    rows = []
    for line in points:
        if line["algorithm"] != algorithm:
            continue
        ranks = line["ranks"]
        messages = 2 * (ranks - 1) if algorithm == "ring" else 2 * math.ceil(math.log2(ranks))
        rows.append((messages, (ranks - 1) / ranks * line["bytes"], line["seconds"]))
    alpha, per_byte = fit(rows)  # per_byte = 2 beta + gamma: the formulas let only this sum be seen
    gamma = min(gamma, per_byte)
    link = Link("this machine's memory", alpha, (per_byte - gamma) / 2, gamma, True)
    errors = {(line["ranks"], line["bytes"]): link.all_reduce(line["bytes"], line["ranks"], algorithm)[0] / line["seconds"] - 1
              for line in points if line["algorithm"] == algorithm}
    return link, errors


def read_layers(summary):
    """The layers with parameters or work of a `convoy summary`."""
    layers = []
    for line in summary.splitlines():
        found = re.match(r"\S+ +(\w+)\((.*)\) +\[[\d,]+\] +([\d,]+) +([\d,]+)$", line)
        if not found:
            continue
        kind, what = found[1], found[2]
        count, work = (int(found[i].replace(",", "")) for i in (3, 4))
        outputs = [int(number) for number in re.findall(r"\d+", what)][0 if kind.startswith("BatchNorm") else 1]
        if kind.startswith("BatchNorm"):
            layers.append(Layer([outputs, outputs], 0, outputs))
        elif "no bias" in what:
            layers.append(Layer([count], work, 0))
        else:
            layers.append(Layer([count - outputs, outputs], work, 0))
    return layers


def measure_network(a, name):
    """The network with its times of one thread: the median over the rounds for each batch, a line through these."""
    _, batches, _ = MODELS[name]
    times = {batch: [] for batch in batches}
    for turn in range(a.rounds):
        for batch in batches:
            progress(turn, a.rounds, f"steps of {name}, batch {batch}")
            line = lines_of([a.folder / "bench/bench_train_step", "--model", name, "--batch", batch, "--threads", 1, "--seconds", a.seconds])[-1]
            times[batch].append(batch / line["samples_per_second"])
    medians = {batch: statistics.median(seconds) for batch, seconds in times.items()}
    fixed, per_sample = fit([(1.0, batch, seconds) for batch, seconds in medians.items()])
    return Network(name, read_layers(output_of([a.binary, "summary", "--model", name])), fixed, per_sample), medians


def check_points(a, networks, links):
    """Whole trainings against the model: rows of (model, ranks, algorithm, measured ms, predicted ms)."""
    rows = []
    for name, batch, images in (("cifar-cnn", 128, 1280), ("mnist-cnn", 64, 2560), ("mnist-cnn", 256, 2560)):
        if name not in networks:
            continue
        programs = {}
        for ranks in (1, 2, 4):
            for algorithm in ("ring", "tree") if ranks > 1 else ("ring",):
                strategy = f"--strategy ddp --ranks {ranks} --reduce {algorithm}" + f" --shards {ranks}" * (algorithm == "tree") if ranks > 1 else ""
                programs[ranks, algorithm] = Training(name, algorithm, a, (name, MODELS[name][0], batch, images, {}), "--threads 1 " + strategy)
        for turn in range(a.rounds):
            for (ranks, algorithm), program in programs.items():
                progress(turn, a.rounds, f"training of {name}, batch {batch}, {ranks} ranks, {algorithm}" if ranks > 1 else f"training of {name}, batch {batch}")
                program.run(os.sched_getaffinity(0))
        for (ranks, algorithm), program in programs.items():
            predicted = networks[name].step(batch / ranks, ranks, links[algorithm], algorithm, 1 << 20)
            rows.append((name, batch, ranks, algorithm, batch / program.median(), predicted))
    return rows


# --- the page ----------------------------------------------------------------------------------------------------------------

ASSUMPTIONS = """
## Assumptions

- An all-reduce of P bytes over R ranks takes mα + 2 (R − 1)/R · Pβ + (R − 1)/R · Pγ; m = 2 (R − 1) for the ring, 2 ⌈log₂ R⌉ for the tree.
  No congestion: every rank sends and receives at full speed whatever the others do. β and γ always occur as 2β + γ, so γ is taken from
  additions alone (`add` in the figures of all_reduce.py) and β is what remains.
- A step on n samples computes for t₀ + n·t₁: one third forward, two thirds backward, shared out over layers by their multiply-adds; t₀,
  mostly the optimizer, comes last. The line through three batch sizes is also followed below them, where it is too kind: tiny
  batches use the core less well.
- A bucket's all-reduce starts when backward has passed its last layer and the bucket before it is through. What the core has to do for it
  is taken from the computing: on this machine all copying and adding, over a network adding alone.
- Batch norm exchanges statistics in forward and sums in backward, an all-gather of ⌈log₂ R⌉ α + (R − 1) · bytes · β that nothing overlaps:
  its bytes grow with R.
- All ranks are equally fast, and none waits for another's late start. Loading of data, evaluation and start-up are left out.
"""


def size_text(megabytes):
    return f"{megabytes:g} MiB"


def efficiency_table(network, a, links, name, strong):
    _, batches, global_batch = MODELS[network.name]
    one = global_batch if strong else batches[1]
    kind = f"strong scaling, global batch {global_batch}" if strong else f"weak scaling, {batches[1]} samples per rank"
    shown = [ranks for ranks in RANKS if ranks in (1, 2, 4, 16, 64, 256, 1024, 4096)]
    lines = [f"\n**{network.name}, {kind}, {name}** (efficiency in %)\n", "| reduce, bucket | " + " | ".join(f"{ranks:,}" for ranks in shown) + " |",
             "|---|" + "--:|" * len(shown)]
    for algorithm in ("ring", "tree"):
        for bucket in a.buckets:
            cells = [f"{100 * efficiency(network, one / ranks if strong else one, one, ranks, links[algorithm], algorithm, bucket * (1 << 20)):.1f}"
                     for ranks in shown]
            lines.append(f"| {algorithm}, {size_text(bucket)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def check_table(rows, cores):
    lines = ["\n## Checked against trainings\n", "Whole steps of `convoy train`, loader included, 1 thread per rank, buckets of 1 MiB.\n",
             "| model | global batch | ranks | reduce | measured, ms | model, ms | model is off by |", "|---|--:|--:|---|--:|--:|--:|"]
    for name, batch, ranks, algorithm, measured, predicted in rows:
        note = f" (oversubscribed: {cores} cores; the model gives each rank one)" if ranks > cores else ""
        lines.append(f"| {name} | {batch} | {ranks} | {algorithm if ranks > 1 else '–'} | {measured * 1e3:.2f} | {predicted * 1e3:.2f} | "
                     f"{100 * (predicted / measured - 1):+.0f} %{note} |")
    return "\n".join(lines)


def fit_table(fits, source):
    lines = [f"\n## Fitted to {source}\n", "| as seen by | α, µs | 1/β, GB/s | 1/γ, GB/s | errors over the sizes |", "|---|--:|--:|--:|---|"]
    for algorithm, (link, errors) in fits.items():
        worst = sorted(errors.values())
        lines.append(f"| {algorithm} | {link.alpha * 1e6:.2f} | {1e-9 / link.beta if link.beta else math.inf:.2f} | "
                     f"{1e-9 / link.gamma if link.gamma else math.inf:.2f} | {100 * worst[0]:+.0f} … {100 * worst[-1]:+.0f} %, "
                     f"median {100 * statistics.median(abs(error) for error in worst):.0f} % |")
    return "\n".join(lines)


def assumed_network(a, gamma):
    return Link(f"a network with α = {a.alpha:g} µs and {a.gbytes:g} GB/s", a.alpha * 1e-6, 1e-9 / a.gbytes, gamma, False)


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--all-reduce", type=Path, help="figures of all_reduce.py, .jsonl, else the latest of this CPU in bench/results")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--data", default=os.environ.get("CONVOY_DATA"), help="folder of the data sets, else $CONVOY_DATA")
    parser.add_argument("--model", action="append", choices=MODELS, help="may be repeated (default: all)")
    parser.add_argument("--buckets", type=listed(number(float, 0.001, 1e6)), default="0.25,1,4,25", help="in MiB")
    parser.add_argument("--alpha", type=number(float, 0, 1e9), default=5, help="µs per message of the assumed network")
    parser.add_argument("--gbytes", type=number(float, 1e-6, 1e6), default=12.5, help="GB/s of the assumed network; 12.5 is 100 Gbit/s")
    parser.add_argument("--rounds", type=COUNT, default=5, help="of which the medians are taken")
    parser.add_argument("--seconds", type=SECONDS, default=2, help="per batch size and round")
    parser.add_argument("--epochs", type=number(int, 2, 1000), default=3, help="of the trainings it is checked against; the first is left out")
    parser.add_argument("--note", help="a line for the head of the page")
    parser.add_argument("--dry", action="store_true", help="print only, write no files")
    a = parser.parse_args()
    if not a.data:
        parser.error("--data is missing, and CONVOY_DATA is not set")
    found = sorted(RESULTS.glob(f"*-all_reduce-{cpu()[1]}.jsonl"))
    a.all_reduce = a.all_reduce or (found[-1] if found else parser.error("no figures of all_reduce.py of this CPU; run it first, or name some with --all-reduce"))
    if not a.all_reduce.is_file():
        parser.error(f"--all-reduce: {a.all_reduce} is not there")
    a.binary, a.workers = (a.folder / "apps/convoy").resolve(), 1
    need_programs(a.binary, a.folder / "bench/bench_train_step")
    need_command("mpirun", "openmpi-bin")
    if not a.dry:
        need_command("gnuplot", "gnuplot-nox")
    a.data = Path(a.data).resolve()
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    load = load_before()
    lines = [json.loads(line) for line in a.all_reduce.read_text().splitlines()]
    cores = lines[0]["cores"]
    fits = {algorithm: fit_link(lines, algorithm, cores) for algorithm in ("ring", "tree")}
    here = {algorithm: link for algorithm, (link, _) in fits.items()}
    network_link = assumed_network(a, here["ring"].gamma)
    links = {"this machine's memory": here, network_link.name: {"ring": network_link, "tree": network_link}}
    networks, step_lines = {}, []
    for name in a.model or MODELS:
        networks[name], medians = measure_network(a, name)
        network = networks[name]
        step_lines.append(f"| {name} | {sum(map(sum, (layer.parameters for layer in network.layers))):,} | {network.fixed * 1e3:.2f} | "
                          f"{network.per_sample * 1e3:.3f} | " + ", ".join(f"{batch}: {seconds * 1e3:.1f}" for batch, seconds in medians.items()) + " |")
    checks = check_points(a, networks, here)

    title, *facts = head("Scaling, by a model", f"{machine}; load before the run: {load:.2f}")
    page = [title, *([f"**{a.note}**\n"] if a.note else []), *facts,
            "- **measured**: the all-reduce times, the steps on one thread, and the trainings below; medians over interleaved rounds",
            f"- **extrapolated**: all efficiencies beyond 2 ranks. No machine with more than {cores} cores was used; \"this machine's memory\" at "
            "4,096 ranks is a machine that does not exist, and the network is assumed, not measured",
            ASSUMPTIONS, fit_table(fits, a.all_reduce.name),
            "\n## Steps on one thread\n", "| model | parameters | t₀, ms | t₁, ms per sample | measured, batch: ms |", "|---|--:|--:|--:|---|", *step_lines,
            check_table(checks, cores), "\n## Predicted efficiency by number of ranks"]
    for network in networks.values():
        for name, by_algorithm in links.items():
            for strong in (False, True):
                page.append(efficiency_table(network, a, by_algorithm, name, strong))
    target = page_path(f"scaling_model-{slug}")
    page.append(f"\n![predicted efficiency by number of ranks, buckets of 1 MiB]({target.stem}.svg)")
    text = "\n".join(page) + "\n"
    print(text)
    if a.dry:
        return
    curves = {(network.name, strong): {f"{algorithm}, {name}": [(ranks, 100 * efficiency(network, one / ranks if strong else one, one, ranks,
                                                                                        by_algorithm[algorithm], algorithm, 1 << 20)) for ranks in RANKS]
                                       for name, by_algorithm in links.items() for algorithm in ("ring", "tree")}
              for network in networks.values() for strong in (False, True)
              for one in [MODELS[network.name][2] if strong else MODELS[network.name][1][1]]}
    keep(target, text)
    draw(curves, target.with_suffix(""))


if __name__ == "__main__":
    main()
