"""Names and words: one class for each public name, rooms that describe themselves, paths that exist."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pgjit").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")])
PACKAGES = [path for path in SOURCES if path.name == "__init__.py"]
FEWEST_LINES = 8
_CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
_TOLD = re.compile(r"\btold\b")
_PATH = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py|(?:[a-z_]+/)+)`")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_public_class_name_occurs_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for name in _CLASS.findall(path.read_text(encoding="utf-8")):
            places[name].append(_name(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES, ids=_name)
def test_every_package_says_what_it_decides(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
    assert len(docstring.splitlines()) >= FEWEST_LINES


def test_programs_report_and_return_and_only_people_are_told() -> None:
    found = {_name(path): len(_TOLD.findall(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert sum(found.values()) < 10, {name: count for name, count in found.items() if count}


def test_the_files_that_the_architecture_names_exist() -> None:
    """A path is below the checkout, or its last parts are below one of its folders."""
    folders = ("docs", "pgjit", "protocol", "tests")
    known = [f"/{_name(path)}" for folder in folders for path in (ROOT / folder).rglob("*")]
    known += [f"{path}/" for path in known]
    named = set(_PATH.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    assert len(named) > 30
    assert [path for path in sorted(named) if not any(each.endswith(f"/{path}") for each in known)] == []
