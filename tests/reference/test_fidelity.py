"""docs/fidelity.md speaks of code, tests and recipes that exist, and of every equation and fault."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from common.recipe import RECIPES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")

#: `folder/file.py`, or `folder/file.py::name`.
REFERENCE = re.compile(r"`([\w./-]+\.(?:py|yaml))(?:::(\w+))?`")


@cache
def names_in(path: Path) -> set[str]:
    """Functions, classes and constants that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    return defined | {target.id for target in targets if isinstance(target, ast.Name)}


def rows() -> dict[int, list[str]]:
    """Cells of the rows that begin with a number, by that number."""
    found: dict[int, list[str]] = {}
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            assert int(cells[0]) not in found, f"equation {cells[0]} has two rows"
            found[int(cells[0])] = cells
    return found


def test_every_file_and_name_in_the_document_exists() -> None:
    references = REFERENCE.findall(TEXT)
    assert len(references) > 100
    wrong = []
    for file, name in references:
        path = ROOT / file
        if not path.is_file() or (name and name not in names_in(path)):
            wrong.append(f"{file}::{name}" if name else file)
    assert wrong == []


def test_nothing_that_looks_like_a_reference_is_passed_over() -> None:
    quoted = re.findall(r"`([^`]*(?:\.py|\.yaml|test_)[^`]*)`", TEXT)
    assert [text for text in quoted if not REFERENCE.fullmatch(f"`{text}`")] == []


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).is_file()


def test_each_of_the_32_equations_has_a_row_with_code_and_a_test() -> None:
    found = rows()
    assert sorted(found) == list(range(1, 33))
    for number, cells in found.items():
        assert len(cells) == 5 and all(cells), number
        _, _, code, tests, _ = cells
        assert not any(file.startswith("tests/") for file, _ in REFERENCE.findall(code)), number
        assert all(name for _, name in REFERENCE.findall(code)) and REFERENCE.findall(code), number
        assert REFERENCE.findall(tests), number
        assert all(file.startswith("tests/") and name.startswith("test_") for file, name in REFERENCE.findall(tests))


def test_every_fault_that_is_a_test_is_listed() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in names_in(path)
        if name.startswith("test_published_fault_")
    }
    assert there == {name for _, name in REFERENCE.findall(TEXT) if name.startswith("test_published_fault_")}


def test_every_recipe_of_a_published_source_is_named() -> None:
    named = {Path(file).stem for file, _ in REFERENCE.findall(TEXT) if file.startswith("recipes/")}
    published = {
        path.stem
        for path in RECIPES.glob("*.yaml")
        if path.stem.startswith(("maven", "moodx")) or path.stem.endswith("-published")
    }
    assert published <= named <= {path.stem for path in RECIPES.glob("*.yaml")}
