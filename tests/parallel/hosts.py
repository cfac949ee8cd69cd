#!/usr/bin/env python3
"""Trains on several hosts, in both ways in which ranks on other hosts come into a job, and checks results and endings.

    hosts.py --convoy build/release/apps/convoy [--hosts 4]

A host here is a network namespace with a name and an address of its own; a bridge joins them. Two jobs run, of one rank on each host:
one by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, one by `mpirun --hostfile`, which starts its ranks through an agent that enters the
other namespace where ssh would go to another host. Both have to save the weights of a serial run, bit for bit. Then a rank on another
host is killed: the job by variables has to end with exit code 7 on all others, and to name that host; of the one by mpirun, mpirun says so.
Needs root and iproute2: without these it says why, and exits with 77 (skipped). Leaves no namespace, device or process behind.
"""
import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kill_ranks import soon

SKIPPED = 77
PORT = 29500  # nobody else is in the namespaces
TRAINING = ["train", "--dataset", "synthetic", "--limit", "200", "--holdout", "100", "--batch", "24", "--model", "conv 4 3x3; bn; relu; flatten; linear 10",
            "--reduce", "tree", "--shards", "4"]
DDP = TRAINING + ["--strategy", "ddp"]


class Hosts:
    """The namespaces, while the `with` lasts."""

    def __init__(self, count):
        self.mark = f"cvy{os.getpid()}"
        self.names = [f"{self.mark}h{i}" for i in range(count)]
        self.addresses = [f"10.213.7.{i + 1}" for i in range(count)]
        self.bridge = f"{self.mark}b"  # in a namespace of its own, so that the host's firewall has no say

    def __enter__(self):
        try:
            ip("netns", "add", self.bridge)
            ip("-n", self.bridge, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.bridge, "link", "set", "bridge", "up")
            for i, (name, address) in enumerate(zip(self.names, self.addresses)):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{i}", "netns", self.bridge)
                ip("-n", self.bridge, "link", "set", f"port{i}", "master", "bridge", "up")
                ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in [*self.names, self.bridge]:
            for process in self.processes(name):
                try:
                    os.kill(process, signal.SIGKILL)
                except OSError:
                    pass
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def processes(self, name):
        pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
        return [int(word) for word in pids.split()]

    def command(self, i, words):
        """What runs `words` on host i, under that host's name."""
        return ["ip", "netns", "exec", self.names[i], "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"host{i}", *words]


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Job:
    """Processes with an output file each, ended with the `with`."""

    def __init__(self, folder):
        self.folder, self.processes, self.errors = folder, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def start(self, command, **more):
        error = self.folder / f"error{len(self.processes)}"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
        with open(error, "w") as file:
            self.processes.append(subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file))
        self.errors.append(error)

    def exit_codes(self, seconds=60):
        return [process.returncode if soon(lambda p=process: p.poll() is not None, seconds) else None for process in self.processes]

    def text(self, i):
        return self.errors[i].read_text()


class Check:
    failed = 0

    def __call__(self, condition, what, text=""):
        print(("ok:     " if condition else "FAILED: ") + what, flush=True)
        if not condition:
            self.failed += 1
            print(text)


def start_by_variables(job, hosts, convoy, more):
    for i in range(len(hosts.names)):
        job.start(hosts.command(i, [convoy, *DDP, *more]), RANK=str(i), WORLD_SIZE=str(len(hosts.names)), MASTER_ADDR=hosts.addresses[0],
                  MASTER_PORT=str(PORT), LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")


def start_by_mpirun(job, hosts, convoy, more):
    (job.folder / "hosts").write_text("".join(f"{address} slots=1\n" for address in hosts.addresses))
    agent = job.folder / "agent"  # called as ssh is: a host, then words for its shell
    cases = "".join(f"{address}) name={name}; host=host{i};;\n" for i, (address, name) in enumerate(zip(hosts.addresses, hosts.names)))
    agent.write_text('#!/bin/sh\ncase "$1" in\n' + cases + 'esac\nshift\n'
                     'exec ip netns exec "$name" unshare --uts sh -c \'hostname "$0" && exec sh -c "$*"\' "$host" "$@"\n')
    agent.chmod(0o700)
    network = "10.213.7.0/24"
    job.start(hosts.command(0, ["mpirun", "--allow-run-as-root", "--hostfile", "hosts", "-n", str(len(hosts.names)), "--bind-to", "none",
                                "--mca", "plm_rsh_agent", str(agent), "--mca", "oob_tcp_if_include", network, "--mca", "btl_tcp_if_include", network,
                                "--mca", "btl", "self,tcp", convoy, *DDP, *more]))


def convoy_on(hosts, i, convoy):
    """The process of the program under test on host i, or None."""
    for process in hosts.processes(hosts.names[i]):
        try:
            if os.readlink(f"/proc/{process}/exe") == convoy:
                return process
        except OSError:
            pass
    return None


def has_stepped(folder):
    metrics = folder / "run/metrics.jsonl"
    return metrics.exists() and '"event":"step"' in metrics.read_text()


def run(a, hosts, folder, check):
    ways = {"variables": start_by_variables}
    if shutil.which("mpirun") and not a.without_mpi:
        ways["mpirun"] = start_by_mpirun
    serial = folder / "serial"
    serial.mkdir()
    subprocess.run([a.convoy, *TRAINING, "--epochs", "2", "--save", "weights"], cwd=serial, check=True, stdout=subprocess.DEVNULL)
    expected = hashlib.sha256((serial / "weights").read_bytes()).hexdigest()
    for way, start in ways.items():
        where = folder / way
        where.mkdir()
        with Job(where) as job:
            start(job, hosts, a.convoy, ["--epochs", "2", "--save", "weights"])
            codes = job.exit_codes()
            told = "".join(job.text(i) for i in range(len(codes)))
            saved = hashlib.sha256((where / "weights").read_bytes()).hexdigest() if (where / "weights").exists() else "nothing"
            check(set(codes) == {0} and saved == expected, f"{way}: {len(hosts.names)} hosts train to the bits of one process", f"{codes} {told}")
        where = folder / (way + "-killed")
        where.mkdir()
        with Job(where) as job:
            start(job, hosts, a.convoy, ["--epochs", "1000000", "--log-every", "1", "--run", "run"])
            check(soon(lambda: has_stepped(where), 60), f"{way}: a step is done", job.text(0))
            victim = convoy_on(hosts, 1, a.convoy)
            if victim is None:
                check(False, f"{way}: a rank is on host1")
                continue
            os.kill(victim, signal.SIGKILL)
            start_time = time.monotonic()
            codes = job.exit_codes(20)
            seconds = time.monotonic() - start_time
            if way == "variables":
                line = r"convoy: rank \d on host\d: rank 1 on host1 has left the job; the last step done here is \d+\n"
                for i in range(len(hosts.names)):
                    if i != 1:
                        check(codes[i] == 7 and re.search(line, job.text(i)), f"{way}: host{i} names the rank that died on host1 ({seconds:.1f} s)",
                              f"{codes[i]} {job.text(i)}")
            else:
                line = rf"rank 1 with PID \d+ on node {re.escape(hosts.addresses[1])} exited on signal 9"  # its name in the hostfile
                check(codes[0] not in (0, None) and re.search(line, job.text(0)), f"{way}: mpirun ends the job and names host1 ({seconds:.1f} s)",
                      f"{codes} {job.text(0)}")
            check(soon(lambda: not any(convoy_on(hosts, i, a.convoy) for i in range(len(hosts.names))), 10), f"{way}: no rank is left on any host")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", required=True, help="the program under test")
    parser.add_argument("--hosts", type=int, default=2, choices=[2, 4], help="a power of two, as the tree over shards wants")
    parser.add_argument("--without-mpi", action="store_true", help="for a build without MPI")
    a = parser.parse_args()
    a.convoy = os.path.realpath(a.convoy)
    missing = [tool for tool in ("ip", "unshare") if shutil.which(tool) is None]
    if missing:
        print(f"SKIPPED: {', '.join(missing)} not found (iproute2, util-linux)")
        return SKIPPED
    check, folder = Check(), Path(tempfile.mkdtemp(prefix="hosts-"))
    try:
        with Hosts(a.hosts) as hosts:
            probe = subprocess.run(hosts.command(0, ["true"]), capture_output=True, text=True, check=False)
            if probe.returncode != 0:
                raise PermissionError(probe.stderr.strip())
            run(a, hosts, folder, check)
    except PermissionError as refused:
        print(f"SKIPPED: no namespaces here: {refused}")
        return SKIPPED
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{check.failed} failed")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
