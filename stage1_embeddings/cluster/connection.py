"""To a Ray cluster: how it is reached, and how many stations it has room for."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import UsageError
from common.provenance import PROJECT
from common.reasons import reason_of

#: A node answers at once or not at all.
_TIMEOUT_S = 5.0

#: More decoders than this feed no single device faster.
_MOST_CPUS = 8

_START = (
    "Start one (ray start --head), or name one that runs: ADDRESS=HOST:PORT. "
    "Without ENGINE=ray this machine works alone."
)


@dataclass(frozen=True)
class Cluster:
    """What the user says of a cluster.

    Attributes
    ----------
    address : str
        ``auto``, the cluster that this machine belongs to, or ``HOST:PORT`` of its head.
    gpus : float
        What an encoder takes of a GPU, in (0, 1].
    encoders : int or None
        Stations asked for, each with encoders of its own; by default as many as there is room for.
    """

    address: str = "auto"
    gpus: float = 1.0
    encoders: int | None = None


@dataclass(frozen=True)
class Share:
    """What one station takes of a node: whole CPUs, and of a GPU something in [0, 1]."""

    cpus: int
    gpus: float


def connect(address: str) -> Any:
    """Join a cluster; the module ``ray``, connected.

    Raises
    ------
    UsageError
        If Ray isn't installed, or there is no cluster at this address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "ENGINE=ray needs Ray, which isn't installed.",
            "Install it on each machine: .venv/bin/pip install -r requirements-ray.txt. Without ENGINE=ray this "
            "machine works alone.",
        ) from error
    _reach(address)
    try:
        with contextlib.chdir(PROJECT):  # Ray lets its workers import from here
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UsageError(f"ADDRESS={address}: Ray can't join a cluster: {reason_of(error)}.", _START) from error
    return ray


def _reach(address: str) -> None:
    """Ask whether anybody is there: Ray itself would ask for minutes."""
    if address == "auto":
        return
    match = re.fullmatch(r"(?P<host>[^\s:/]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", address)
    if match is None:
        raise UsageError(f"ADDRESS={address} isn't HOST:PORT.", "As in ADDRESS=10.0.0.1:6379, or auto.")
    try:
        with socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=_TIMEOUT_S):
            pass
    except (OSError, OverflowError) as error:
        raise UsageError(f"ADDRESS={address}: nobody answers ({error}).", _START) from error


def share_of(nodes: Sequence[Mapping[str, Any]], device: str, gpus: float, cpus: int | None) -> Share:
    """What a station should take, so that every node has room for whole ones.

    Parameters
    ----------
    nodes : as ``ray.nodes()`` gives them
    device : ``cpu`` takes no GPU
    cpus : as the user wants it; by default those of the smallest node for each of its encoders, at most 8

    Raises
    ------
    UsageError
        If no node has a CPU.
    """
    has = [_resources(node) for node in nodes]
    gpu_nodes = [(cpu, gpu) for cpu, gpu in has if cpu >= 1 and gpu >= 1] if device != "cpu" else []
    if not gpu_nodes and not any(cpu >= 1 for cpu, _ in has):
        raise UsageError("No node of the Ray cluster offers a CPU.", "Start one with ray start --address HOST:PORT.")
    per_node = [cpu / (gpu * _whole(gpus)) for cpu, gpu in gpu_nodes] or [cpu for cpu, _ in has if cpu >= 1]
    return Share(cpus or max(1, min(_MOST_CPUS, int(min(per_node)))), gpus if gpu_nodes else 0.0)


def room(nodes: Sequence[Mapping[str, Any]], share: Share) -> int:
    """Stations that find a place on these nodes, if nobody else is there."""
    found = 0
    for cpu, gpu in map(_resources, nodes):
        by_gpu = gpu * _whole(share.gpus) if share.gpus else cpu
        found += min(cpu // share.cpus, by_gpu)
    return found


def _whole(gpus: float) -> int:
    """Shares of this size in one GPU."""
    return int(1 / gpus + 1e-9)


def _resources(node: Mapping[str, Any]) -> tuple[int, int]:
    """Whole CPUs and GPUs of a node that is there."""
    offers = node["Resources"] if node["Alive"] else {}
    return int(offers.get("CPU", 0)), int(offers.get("GPU", 0))
