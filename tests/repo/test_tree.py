"""The checkout keeps its own rules: sizes of files, public names, pinned dependencies, no index of its own."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.run.rows import table

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pgjit").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")])
MODULES = [path for path in SOURCES if path.name != "__init__.py" and "versions" not in path.parts]
MOST_LINES = 400
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.]*)\Z")
_INDEXES = ("pypi" + ".org", "pythonhosted" + ".org", "index-" + "url", "find-" + "links")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _pins() -> dict[str, str]:
    pins: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        match = _PIN.match(line)
        assert match, f"constraints.txt holds names and versions only, not {line!r}"
        name = canonicalize_name(match[1])
        assert name not in pins, f"{name} is pinned twice"
        pins[name] = match[2]
    return pins


def _requirements() -> list[Requirement]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = document["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        document["build-system"]["requires"],
        document["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["dependencies"],
    ]
    found = [Requirement(text) for texts in lists for text in texts]
    return [requirement for requirement in found if requirement.name != "pgjit"]


def _module(path: Path) -> str:
    below = (
        path.relative_to(ROOT / "protocol") if "protocol" in path.relative_to(ROOT).parts else path.relative_to(ROOT)
    )
    return ".".join(below.with_suffix("").parts).removesuffix(".__init__")


def _files_of_the_repository() -> list[Path]:
    """What is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


@table("requirement", _requirements(), ids=str)
def test_every_dependency_is_pinned_at_a_version_that_it_allows(requirement: Requirement) -> None:
    pins = _pins()
    name = canonicalize_name(requirement.name)
    assert name in pins
    assert requirement.specifier.contains(pins[name], prereleases=True)


@pytest.mark.live
def test_no_file_names_a_package_index() -> None:
    guilty = [
        f"{_name(path)}: {word}"
        for path in _files_of_the_repository()
        for word in _INDEXES
        if word.encode() in path.read_bytes()
    ]
    assert guilty == []


def test_source_files_stay_short() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_modules_say_what_they_decide_and_what_they_offer() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in MODULES}
    assert [_name(path) for path, text in texts.items() if not text.startswith('"""')] == [], "no module docstring"
    silent = [path for path, text in texts.items() if not re.search(r"^__all__ = ", text, re.MULTILINE)]
    # Alembic runs its environment as a script: it offers nothing.
    assert [_name(path) for path in silent if path.name != "env.py"] == []


def test_public_names_exist() -> None:
    missing, twice = [], []
    for path in SOURCES:
        if "migrations" in path.parts:
            continue
        module = importlib.import_module(_module(path))
        offered: list[str] = getattr(module, "__all__", [])
        missing += [f"{_name(path)}: {name}" for name in offered if not hasattr(module, name)]
        twice += [f"{_name(path)}: {name}" for name in offered if offered.count(name) > 1]
    assert missing == []
    assert twice == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
    assert [_name(path) for path in SOURCES if path.stem in nothing] == []


def test_ci_runs_the_tests_last_so_that_their_summary_ends_the_output() -> None:
    script = ROOT / ".ci" / "run"
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    checks = "lint types imports test-fast instructions test-compiled test-foreign test-drivers test-bench"
    assert lines[2:] == [
        f"make {target}" for target in f"{checks} chromium test-browser test-long test-properties test".split()
    ]
    assert script.stat().st_mode & 0o111, "it can be run"
