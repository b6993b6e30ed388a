"""What is asked of the system where a network runs."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: MiB of a process that are still resident after a tensor of 256 MiB has come and gone.
_RESIDENT = """
import sys
import torch
from benchmarks.measure import resident_mib
from common.device import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resident_mib("VmRSS")
torch.ones(1 << 26)
print(resident_mib("VmRSS") - before)
"""


def _takes_large_blocks_from_its_heap() -> bool:
    """Only asked, of a process of its own: older versions of glibc refuse more than 32 MiB."""
    asked = "import ctypes; print(getattr(ctypes.CDLL(None), 'mallopt', lambda *_: 0)(-3, 1 << 30))"
    return subprocess.run([sys.executable, "-c", asked], check=True, stdout=subprocess.PIPE, text=True).stdout == "1\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is asked")
@pytest.mark.parametrize(("how", "low_mib", "high_mib"), [("given back", -50, 50), ("kept", 206, 306)])
def test_freed_memory_is_kept_for_the_next_tensor(how: str, low_mib: int, high_mib: int) -> None:
    if not _takes_large_blocks_from_its_heap():
        pytest.skip("this glibc refuses")
    command = [sys.executable, "-c", _RESIDENT, how]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert low_mib < float(done.stdout) < high_mib
