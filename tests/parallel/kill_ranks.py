#!/usr/bin/env python3
"""Ends ranks of running jobs at random moments, and checks how the jobs end.

    kill_ranks.py --convoy build/release/apps/convoy [--tests 100] [--seed 1]

Each test starts `convoy train` on 2 to 4 ranks, picks one, and at some moment, one time in four while ranks are still starting, kills it
(SIGKILL, SIGTERM), stops it (SIGSTOP) or makes it exit with a code of its own choice. The job has to end with exit code 7 within seconds, with exactly one line,
which names the rank, its host, what befell it and its last step; and to leave nothing: no process, no file in its temporary folder, no
shared memory. Ports need no look of their own: they go with their processes. Prints `N passed, N failed`; exit code 0 when none failed.
Where the system does not let a process be made to exit (ptrace), such tests are counted as skipped.
"""
import argparse
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = "KILL_RANKS_JOB"  # a variable that every process of a job inherits
LAYOUTS = [("ddp", 2, 1), ("ddp", 3, 1), ("ddp", 4, 1), ("hybrid", 2, 2)]
EXIT_CODE = 23
FATES = {"KILL": r"was killed by signal 9 \(Killed\)", "TERM": r"was killed by signal 15 \(Terminated\)",
         "STOP": r"has shown no sign of life for 6 s \(is it stopped\?\)", "exit": rf"ended early with exit code {EXIT_CODE}"}
SECONDS = {"KILL": 5, "TERM": 5, "exit": 5, "STOP": 6 + 5}  # until the job has to be over; 6 s without a heartbeat are granted


# --- a process that exits ------------------------------------------------------------------------------------------------------

PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 12, 13, 16, 17
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()
SYSCALL_INSTRUCTION, EXIT_GROUP = b"\x0f\x05", 231


def start_of_libc(process):
    """The address at which its C library lies."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    return min(int(line.split("-")[0], 16) for line in lines if "/libc.so" in line or "/libc-2" in line)


def system_call_in_libc():
    """How far behind the start of the C library a system call's instruction lies: in its function syscall()."""
    function = ctypes.cast(ctypes.CDLL(None).syscall, ctypes.c_void_p).value
    return function + ctypes.string_at(function, 64).index(SYSCALL_INSTRUCTION) - start_of_libc("self")


def make_exit(process, code):
    """Makes another process call exit_group(code) at whatever place it is, as if its program did (x86-64). Nothing of its program is
    written over: other threads run on meanwhile, perhaps there."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.restype, ptrace.argtypes = ctypes.c_long, (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    def call(request, address=None, data=None):
        if ptrace(request, process, address, data) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace({request})")

    call(PTRACE_ATTACH)
    os.waitpid(process, 0x40000000)  # __WALL
    values = (ctypes.c_ulonglong * len(REGISTERS))()
    call(PTRACE_GETREGS, None, ctypes.addressof(values))
    place = {name: number for number, name in enumerate(REGISTERS)}
    values[place["orig_rax"]] = 2**64 - 1  # what it was waiting for is not taken up again
    values[place["rax"]], values[place["rdi"]] = EXIT_GROUP, code
    values[place["rip"]] = start_of_libc(process) + system_call_in_libc()
    call(PTRACE_SETREGS, None, ctypes.addressof(values))
    call(PTRACE_DETACH)


# --- looking at jobs -----------------------------------------------------------------------------------------------------------


def processes_of(job):
    """pid -> environment, of all processes that have the job's mark."""
    wanted = f"{MARK}={job}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in environment:
                found[int(folder.name)] = environment
    return found


def process_of_rank(job, rank, program):
    for process, environment in processes_of(job).items():
        try:
            if f"OMPI_COMM_WORLD_RANK={rank}".encode() in environment and os.readlink(f"/proc/{process}/exe") == program:
                return process
        except OSError:
            pass
    return None


def id_of(job):
    """The number that Open MPI gave the job, which the names of its shared memory have in hexadecimal; None before it has one."""
    for environment in processes_of(job).values():
        for variable in environment:
            if variable.startswith(b"OMPI_MCA_ess_base_jobid="):
                return int(variable.partition(b"=")[2])
    return None


def is_of_another_job(name, job_id):
    """Whether Open MPI's name of a file in shared memory, vader_segment.HOST.USER.JOB.RANK, is not the job's."""
    parts = str(name).split(".")
    return "vader_segment" in parts[0] and job_id is not None and parts[-2] != f"{job_id:x}"


def is_mapped(path):
    """Whether a living process has the file in its memory; if so, it may be someone else's."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if str(path) in maps.read_text():
                return True
        except OSError:
            pass
    return False


def shared_memory():
    segments = {entry for entry in Path("/dev/shm").iterdir() if not entry.is_dir()}
    try:  # System V's: those that nobody has attached
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        segments |= {f"System V segment {row[1]}" for row in rows if row[6] == "0"}
    except OSError:
        pass
    return segments


def steps_in(metrics):
    return metrics.read_text().count('"event":"step"') if metrics.exists() else 0


def soon(condition, seconds):
    """Waits until condition() is true; whether it became so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# --- one test ------------------------------------------------------------------------------------------------------------------


def run_test(a, folder, job, strategy, ranks, replicas, rank, fate, started, delay):
    """A list of what was wrong, empty for nothing; and the line that the job ended with."""
    temporary = folder / "tmp"
    temporary.mkdir()
    memory_before = shared_memory()
    command = [a.convoy, "train", "--dataset", "synthetic", "--limit", "200", "--holdout", "300", "--model", "conv 4 3x3; bn; relu; flatten; linear 10",
               "--batch", "24", "--epochs", "1000000", "--log-every", "1", "--run", "run", "--strategy", strategy, "--ranks", str(ranks)]
    command += ["--replicas", str(replicas)] if replicas > 1 else []
    environment = {**os.environ, MARK: job, "TMPDIR": str(temporary)}
    with open(folder / "out", "w") as out, open(folder / "error", "w") as error:
        launcher = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=error)
    metrics = folder / "run/metrics.jsonl"
    wrong = []
    try:
        if not soon(lambda: process_of_rank(job, rank, a.convoy) or launcher.poll() is not None, 30):
            return ["the rank has not started within 30 s"], ""
        if started and not soon(lambda: steps_in(metrics) > 0 or launcher.poll() is not None, 60):
            return ["no step was done within 60 s"], ""
        time.sleep(delay)
        steps = steps_in(metrics)
        process, job_id = process_of_rank(job, rank, a.convoy), id_of(job)
        if process is None:
            return ["the rank was gone before its time"], (folder / "error").read_text()
        start = time.monotonic()
        make_exit(process, EXIT_CODE) if fate == "exit" else os.kill(process, getattr(signal, "SIG" + fate))
        allowed = SECONDS[fate] * a.slack
        if not soon(lambda: launcher.poll() is not None, allowed):
            wrong.append(f"the job goes on {allowed:g} s later")
            launcher.send_signal(signal.SIGKILL)
        seconds = time.monotonic() - start
        if launcher.wait() != 7 and not wrong:
            wrong.append(f"exit code {launcher.returncode} instead of 7")
        if not soon(lambda: not processes_of(job), 3):
            wrong.append(f"{len(processes_of(job))} processes are left")
    finally:
        for process in processes_of(job):
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                pass
    message = (folder / "error").read_text()
    # Before a rank has joined, its host is not known; before the first step, there is no last one.
    host = rf" on {re.escape(socket.gethostname())}"
    where, step = (host, r" after step (\d+)") if steps > 0 else (f"({host})?", r"( after step \d+)?")
    expected = re.fullmatch(rf"convoy: rank {rank}{where} {FATES[fate]}{step}; all other ranks were ended\n", message)
    if not expected:
        wrong.append(f"{message.count(chr(10))} lines, or another one than expected")
    elif steps > 0 and int(expected[1]) < steps - 1:
        wrong.append(f"step {expected[1]} is told, but {steps} were done")
    left = [str(path.relative_to(temporary)) for path in temporary.rglob("*")]
    if left:
        wrong.append(f"left in the temporary folder: {', '.join(left[:5])}")
    left = [str(name) for name in shared_memory() - memory_before
            if not (isinstance(name, Path) and (is_mapped(name) or is_of_another_job(name, job_id)))]
    left = [name for name in left if not name.startswith("/") or Path(name).exists()]
    if left:
        wrong.append(f"left in shared memory: {', '.join(left[:5])}")
    return wrong, f"{seconds:.1f} s, {steps} steps: {message.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", required=True, help="the program under test")
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest-delay", type=float, default=3, help="seconds, at most, from a rank's start or the first step to its end")
    parser.add_argument("--slack", type=float, default=1, help="factor on the time that a job has to end, for a busy machine")
    parser.add_argument("--quiet", action="store_true", help="tell failures only")
    a = parser.parse_args()
    a.convoy = os.path.realpath(a.convoy)
    draw = random.Random(a.seed)
    # Every signal meets every rank of every layout, in random order, before one comes again.
    every = [(strategy, ranks, replicas, rank, fate) for strategy, ranks, replicas in LAYOUTS for rank in range(ranks) for fate in FATES]
    cases = []
    while len(cases) < a.tests:
        cases += draw.sample(every, len(every))
    failed = skipped = 0
    for number, case in enumerate(cases[:a.tests]):
        strategy, ranks, replicas, rank, fate = case
        started, delay = draw.random() < 0.75, draw.uniform(0, a.longest_delay)
        folder = Path(tempfile.mkdtemp(prefix="kill_ranks-"))
        try:
            wrong, ended = run_test(a, folder, f"{os.getpid()}-{number}", strategy, ranks, replicas, rank, fate, started, delay)
        except PermissionError as refused:
            skipped += 1
            print(f"{number + 1:3}: skipped: {refused}")
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        failed += bool(wrong)
        if wrong or not a.quiet:
            print(f"{number + 1:3}: {strategy} {ranks}x{replicas}, rank {rank}, {fate:4} {delay:.2f} s after {'the first step' if started else 'its start'}: "
                  + ("ok" if not wrong else "FAILED: " + "; ".join(wrong)) + f" [{ended.strip()}]", flush=True)
    print(f"{a.tests - failed - skipped} passed, {failed} failed" + f", {skipped} skipped" * (skipped > 0))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
