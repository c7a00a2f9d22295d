"""A machine that cannot compile is reported with what it lacks, before anything is built."""

from __future__ import annotations

import sysconfig
import tomllib
from pathlib import Path

import pytest

from building import compile_modules
from building.compile_modules import missing

ROOT = Path(__file__).parents[2]


def test_a_machine_without_a_compiler_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert missing() == ("a C compiler: `no-such-compiler` is not installed (Debian: apt-get install gcc libc6-dev)")
    with pytest.raises(SystemExit, match="modules cannot be compiled: this machine does not have a C compiler"):
        compile_modules.compile_modules(Path(), [])


def test_a_machine_without_headers_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "sh")  # it is there, and not run
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert missing() == (
        f"the headers of this Python: {tmp_path / 'Python.h'} is missing (Debian: apt-get install python3-dev)"
    )


def test_every_listed_module_is_there_once_and_in_order() -> None:
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    modules: list[str] = hook["custom"]["modules"]
    assert modules == sorted(set(modules))
    roots = {"pgjit": ROOT, "pgwire": ROOT / "protocol"}
    places = [roots[each.partition(".")[0]] / f"{each.replace('.', '/')}.py" for each in modules]
    assert [str(place) for place in places if not place.is_file()] == []
    assert [str(place) for place in places if "async def" in place.read_text()] == []
