"""What the scripts of this folder share: their options and what has to be there before the first round, the running of a program, and the
page that is written.

    parser = Options(__doc__)
    parser.add_argument("--threads", type=THREADS, default=2, help="OpenMP threads")
    a = parser.parse_args()
    need_programs(ROOT / "build/release/bench/bench_limits")     # else one line that says how to build it, and exit code 2
    progress(0, 7, "bench_limits")              # round 1 of 7
    line = output_of([ROOT / "build/release/bench/bench_limits", "--threads", a.threads])
"""
import argparse
import datetime
import importlib.util
import json
import math
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/results"
SCRIPT = Path(sys.argv[0]).stem
BUILD = "cmake --preset release -DCONVOY_BENCH=ON -DCONVOY_CUDA=OFF && cmake --build --preset release --parallel $(nproc) --target"
# Programs that are left out of a build without these packages.
PACKAGES = {"bench_peer_onednn": "libdnnl-dev", "bench_peer_blas": "libopenblas-openmp-dev", "bench_peer_all_reduce": "libopenmpi-dev openmpi-bin"}

# glibc's defaults return large buffers to the kernel after every step and fault them in again.
PEER_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 32), "MALLOC_TOP_PAD_": str(1 << 28),
               "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}  # huge pages, which Convoy's pool asks for too
# Settings of the caller that would slow one program and not another.
MEDDLING = re.compile(r"(OPENBLAS|MKL|OMP|GOMP|KMP|MALLOC|XLA|DNNL|ONEDNN|TORCH|ATEN|THP|GLIBC|CONVOY)_|LD_PRELOAD")

# What holds everyone to an instruction set.
ISAS = {"avx2": {"CONVOY_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell",
                 "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}}


# --- options -----------------------------------------------------------------------------------------------------------------


def refuse(message):
    print(f"{SCRIPT}: {message}", file=sys.stderr)
    sys.exit(2)


class Help(argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action):
        return action.help + " (default: %(default)s)" * (action.default not in (None, False, argparse.SUPPRESS))


class Options(argparse.ArgumentParser):
    """Help with defaults; what is wrong in one line."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=Help)

    def error(self, message):
        refuse(f"{message} (--help lists the options)")


def number(kind, least, most):
    """The type of an option: such a number from `least` to `most`."""
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is not a {'whole ' * (kind is int)}number from {least} to {most}")
        return value
    return parse


COUNT, THREADS, SECONDS = number(int, 1, 1_000_000), number(int, 1, 1024), number(float, 0.001, 3600)


def listed(kind):
    """The type of an option that takes several, with commas between them."""
    return lambda text: [kind(word) for word in text.split(",")]


def need_programs(*paths):
    for path in paths:
        if not os.access(path, os.X_OK):
            package = PACKAGES.get(path.name)
            refuse(f"{path} is not there; " + (f"install {package} and " if package else "") + f"build it with `{BUILD} {path.name}`")


def need_command(name, package):
    if not shutil.which(name):
        refuse(f"{name} is not there; install it with `sudo apt install {package}`")


def need_modules(*names, interpreter=None):
    """Of this script's own interpreter, or of the one whose path is given."""
    look = "import importlib.util, sys; print(*[name for name in sys.argv[1:] if not importlib.util.find_spec(name)])"
    if interpreter is None:
        interpreter, missing = sys.executable, " ".join(name for name in names if not importlib.util.find_spec(name))
    elif not shutil.which(interpreter):
        refuse(f"the interpreter {interpreter} is not there")
    else:
        result = subprocess.run([interpreter, "-c", look, *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if result.returncode != 0:
            refuse(f"{interpreter} is no Python interpreter")
        missing = result.stdout.strip()
    if missing:
        refuse(f"{interpreter} has no {missing.replace(' ', ', ')}; install it with `{interpreter} -m pip install {missing}`")


# --- running -----------------------------------------------------------------------------------------------------------------


def progress(turn, rounds, what):
    print(f"{SCRIPT}: round {turn + 1} of {rounds}: {what}", file=sys.stderr, flush=True)


def own_environment(extra=None):
    return {k: v for k, v in os.environ.items() if not MEDDLING.match(k)} | (extra or {})


def output_of(command, text=None, extra=None, cores=None):
    """What a program prints that is given `text`; ends this script when it fails. extra: of its environment; cores: None for all."""
    command = [str(word) for word in command]
    given = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
    result = subprocess.run(command, env=own_environment(extra), stdout=subprocess.PIPE, text=True,
                            preexec_fn=cores and (lambda: os.sched_setaffinity(0, cores)), **given)
    if result.returncode != 0:
        sys.exit(f"{SCRIPT}: '{shlex.join(command)}' ended with code {result.returncode}")
    return result.stdout


def lines_of(command, text=None, extra=None, cores=None):
    """The JSON lines among what output_of() gives."""
    return [json.loads(line) for line in output_of(command, text, extra, cores).splitlines() if line.startswith("{")]


def first_cores(count):
    """As many of the cores that this script may use, for every program of a comparison to be bound to."""
    return set(sorted(os.sched_getaffinity(0))[:count])


class Program:
    """One row of a table: a command that prints a JSON line with samples_per_second."""

    def __init__(self, name, setting, command, environment=None):
        self.name, self.setting, self.command, self.environment = name, setting, [str(word) for word in command], environment
        self.rates, self.last = [], {}

    def run(self, cores):
        self.last = json.loads(output_of(self.command, extra=self.environment, cores=cores).splitlines()[-1])
        self.rates.append(self.last["samples_per_second"])

    def median(self):
        return statistics.median(self.rates)


# --- the page ----------------------------------------------------------------------------------------------------------------


def answer_of(*command):
    """What a command of the system prints; empty when there is none."""
    try:
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def commit():
    head = answer_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    return head + (" with changes" if answer_of("git", "status", "--porcelain", "--untracked-files=no") else "")


def cpu():
    """This machine in words, and for the name of a page: 'amd-epyc-25-1', where family and model tell generations of one name apart."""
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    name, family, model = fields.get("model name", platform.processor()), fields.get("cpu family", "?"), fields.get("model", "?")
    return (f"{name} (family {family}, model {model}), {counted(len(os.sched_getaffinity(0)), 'core')}",
            re.sub(r"[^a-z0-9]+", "-", f"{name} {family} {model}".lower()).strip("-"))


def load_before():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"{SCRIPT}: the machine is not idle (load {load:.1f}); the figures will suffer", file=sys.stderr)
    return load


def counted(count, what):
    """'1 round', '7 rounds'"""
    return f"{count} {what}{'s' * (count != 1)}"


def command_line():
    """This command as it was typed, but for absolute paths: of those in the repository the part below it, PATH for any other."""
    def shown(word):
        option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        path = Path(value)
        if path.is_absolute():
            value = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "PATH"
        return option + sign + value
    return shlex.join([f"bench/{SCRIPT}.py", *map(shown, sys.argv[1:])])


def head(title, machine):
    return [f"# {title}\n", f"- date: {datetime.date.today()}, commit: {commit()}", f"- machine: {machine}", f"- command: `{command_line()}`"]


def page_path(name, folder=RESULTS):
    return folder / f"{datetime.date.today()}-{name}.md"


def keep(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"{SCRIPT}: wrote {os.path.relpath(path)}", file=sys.stderr)
