"""Says how many inputs each parser was fed."""

from __future__ import annotations

from typing import Any

from tests.fuzz.target import COUNT


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if COUNT < 1000:
        return
    rows = [
        (*dict(report.user_properties)["fuzz"], report.duration)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" and "fuzz" in dict(report.user_properties)
    ]
    terminalreporter.section("inputs")
    terminalreporter.write_line(f"{'parser':<28}{'tried':>8}{'read':>8}{'refused':>9}{'seconds':>9}")
    for name, read, refused, seconds in rows:
        terminalreporter.write_line(f"{name:<28}{read + refused:>8}{read:>8}{refused:>9}{seconds:>9.0f}")
