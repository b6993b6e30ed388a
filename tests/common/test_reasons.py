"""The words of other libraries in sentences of ours."""

from __future__ import annotations

import pytest

from common.reasons import in_a_line, reason_of, says_no_memory


def test_a_reason_is_one_line_without_its_full_stop() -> None:
    assert reason_of(OSError("  Unable to open\n\tfile (eof = 7).\n")) == "Unable to open file (eof = 7)"
    assert reason_of(MemoryError()) == ""


def test_what_is_long_is_cut_and_shows_it() -> None:
    assert in_a_line("a" * 201) == "a" * 200 + "..."
    assert in_a_line("a" * 200) == "a" * 200
    assert reason_of("a. b.", 2) == "a...."


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out(error: Exception, is_it: bool) -> None:
    assert says_no_memory(error) is is_it
