"""Sizes of files in words."""

from __future__ import annotations


def in_bytes(size: float) -> str:
    """``512 B``, ``1.5 GB``: powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
