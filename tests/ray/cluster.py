"""A real Ray cluster on this machine: nodes started by Ray's own command line, and one that loses its power."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: A dead node is noticed within two seconds instead of half a minute; nothing is sent anywhere.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "OMP_NUM_THREADS": "1",
}

#: How long a node may take to start on a machine that is busy.
PATIENCE_S = 120.0


class Node:
    """``ray start --block`` with one CPU: everything of the node descends from it."""

    def __init__(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus", "1", *arguments]
        command += ["--node-ip-address", "127.0.0.1", "--object-store-memory", str(100_000_000)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT}
        )

    def processes(self) -> dict[int, str]:
        """Number and command line of each process of the node."""
        parents, lines = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                lines[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(folder.name)] = int(status[1])
        own = {self._process.pid}
        while more := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= more
        return {pid: lines[pid] for pid in own if pid in lines}

    def decodes(self) -> bool:
        """Has a station on this node a clip in hand?"""
        return any("multiprocessing.spawn" in line for line in self.processes().values())

    def lose_power(self) -> None:
        """SIGKILL to every process of the node, at once."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self._process.wait()


class TwoNodes:
    """A head and one more node, on loopback, without dashboard."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="ray")  # short: sockets lie in it
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self.head = Node("--head", "--port", port, "--include-dashboard=false", "--temp-dir", self._folder)
        self._await_nodes(1)
        self.other = Node("--address", self.address)
        self._await_nodes(2)

    def _await_nodes(self, number: int) -> None:
        """Until so many raylets listen; counted by the processes, without joining the cluster."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            nodes = [self.head] if number == 1 else [self.head, self.other]
            lines = [" ".join(node.processes().values()) for node in nodes]
            if all("ray::RuntimeEnvAgent" in line or "runtime_env/agent" in line for line in lines):
                return
            time.sleep(0.2)
        pytest.fail(f"{number} node(s) of Ray didn't start in {PATIENCE_S:.0f} s")

    def close(self) -> None:
        for node in (self.other, self.head):
            node.lose_power()
        shutil.rmtree(self._folder, ignore_errors=True)


def two_nodes() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    try:
        yield nodes
    finally:
        nodes.close()
