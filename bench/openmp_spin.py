#!/usr/bin/env python3
"""How long should OpenMP's threads spin before they sleep? Training steps alone, and beside a busy program on every core.

    bench/openmp_spin.py                       # needs bench_train_step, as train_step.py does

libgomp's threads spin at the end of a parallel region (GOMP_SPINCOUNT iterations) before they sleep. Writes
bench/results/<date>-openmp_spin-<cpu>.md and prints it.
"""
import statistics
import subprocess
import sys
from pathlib import Path

from measurement import COUNT, ROOT, SECONDS, Options, Program, counted, cpu, first_cores, head, keep, need_programs, page_path, progress

SETTINGS = {"libgomp's default": {}, "GOMP_SPINCOUNT=100": {"GOMP_SPINCOUNT": "100"}, "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
            "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"}, "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"}}


def measure(model, a, cores, neighbours):
    """Median samples/s of each setting, with so many busy programs beside it."""
    command = [a.binary, "--model", model, "--threads", len(cores), "--seconds", a.seconds]
    # OMP_WAIT_POLICY is set but empty for the default, so that the program leaves the choice to libgomp (which says that it is no valid value).
    programs = {name: Program(name, "", command, environment or {"OMP_WAIT_POLICY": ""}) for name, environment in SETTINGS.items()}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        for number in range(a.rounds):
            for program in programs.values():
                progress(number, a.rounds, f"{model}, {program.name}" + f", beside {counted(neighbours, 'busy program')}" * (neighbours > 0))
                program.run(cores)
    finally:
        for process in busy:
            process.kill()
    return {name: f"{statistics.median(program.rates):,.0f} ({min(program.rates):,.0f} – {max(program.rates):,.0f})" for name, program in programs.items()}


def arguments():
    parser = Options(__doc__)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/bench/bench_train_step", help="bench_train_step")
    parser.add_argument("--rounds", type=COUNT, default=7, help="of which the medians are compared")
    parser.add_argument("--seconds", type=SECONDS, default=2, help="of measurement per setting and round")
    parser.add_argument("--dry", action="store_true", help="print only, write no result file")
    a = parser.parse_args()
    need_programs(a.binary)
    return a


def main():
    a = arguments()
    machine, slug = cpu()
    cores = first_cores(2)
    page = [*head("How long OpenMP's threads should spin", machine),
            f"- samples/s of training steps, batch 64, {counted(len(cores), 'thread')}; medians (lowest – highest) of {counted(a.rounds, 'interleaved round')}"]
    for model in ("mnist-cnn", "cifar-cnn"):
        alone, beside = (measure(model, a, cores, neighbours) for neighbours in (0, len(cores)))
        page += [f"\n## {model}\n", f"| setting | alone | beside {counted(len(cores), 'busy program')} |", "|---|--:|--:|"]
        page += [f"| {name} | {alone[name]} | {beside[name]} |" for name in SETTINGS]
    text = "\n".join(page) + "\n"
    print(text)
    if not a.dry:
        keep(page_path(f"openmp_spin-{slug}"), text)


if __name__ == "__main__":
    main()
