"""The repository holds itself to its own rules."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.repo.config_reference import reference

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pgjit").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")])


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=;! ]", requirement)[0].lower().replace("_", "-")


def test_constraints_hold_names_and_versions_only_and_pin_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    pinned = {_name(line) for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(requirement for group in groups for requirement in group)]
    assert {_name(requirement) for requirement in wanted} - {"pgjit"} <= pinned


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_of_a_size_to_be_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 420


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_module_exports_is_there(path: Path) -> None:
    if "migrations" in path.parts:
        return  # run by Alembic, in a context of its own
    top = ROOT / "protocol" if path.is_relative_to(ROOT / "protocol") else ROOT
    name = ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")
    module = import_module(name)
    assert all(hasattr(module, exported) for exported in getattr(module, "__all__", ()))


def test_the_reference_of_the_configuration_is_up_to_date() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == reference()


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]))
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^ +make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets
