"""A compiled module that is not the one of the source beside it is found before anything runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import pgwire.framing
from pgjit.build import Build, check_build
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.errors import ServerUnavailable

_SUFFIX = EXTENSION_SUFFIXES[0]
_SOURCE, _LIBRARY, _SHARED = "pgwire/framing.py", f"pgwire/framing{_SUFFIX}", f"pgjit__mypyc{_SUFFIX}"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """The package `pgjit` of an installation with one compiled module."""
    for name in (_SOURCE, _LIBRARY, _SHARED, "pgjit/__init__.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    listed = {"sources": _digests(tmp_path, _SOURCE), "libraries": _digests(tmp_path, _LIBRARY, _SHARED)}
    (tmp_path / "pgjit" / "compiled.json").write_text(json.dumps(listed))
    yield tmp_path / "pgjit"
    check_build.cache_clear()


def _digests(root: Path, *names: str) -> dict[str, str]:
    return {name: sha256((root / name).read_bytes()).hexdigest() for name in names}


def test_what_was_built_starts_and_says_so(package: Path) -> None:
    assert check_build(package) == Build(1)
    assert str(Build(1)) == "1 modules compiled"
    assert str(Build()) == "plain Python"


@pytest.mark.parametrize("name", [_SOURCE, _LIBRARY, _SHARED])
def test_a_file_that_has_changed_since_is_refused(package: Path, name: str) -> None:
    (package.parent / name).write_text("changed")
    with pytest.raises(ServerUnavailable, match="not those of this version's sources") as refused:
        check_build(package)
    assert refused.value.reference == "compiled-code-differs"
    assert refused.value.detail == f"`{package.parent / name}` has changed since the modules were compiled."


@pytest.mark.parametrize("name", [_SOURCE, _LIBRARY, _SHARED])
def test_a_file_that_is_missing_is_refused(package: Path, name: str) -> None:
    (package.parent / name).unlink()
    with pytest.raises(ServerUnavailable) as refused:
        check_build(package)
    assert refused.value.detail == f"`{package.parent / name}` is missing."


def test_a_library_of_another_build_is_refused(package: Path) -> None:
    left = package.parent / "pgwire" / f"reader{_SUFFIX}"
    left.write_text("left behind")
    with pytest.raises(ServerUnavailable) as refused:
        check_build(package)
    assert refused.value.detail == f"`{left}` is not listed in `{package / 'compiled.json'}`."


def test_a_library_without_a_list_is_refused(package: Path) -> None:
    (package / "compiled.json").unlink()
    with pytest.raises(ServerUnavailable) as refused:
        check_build(package)
    assert refused.value.detail == (
        f"`{package.parent / _LIBRARY}` is compiled, and there is no `{package / 'compiled.json'}`."
    )


def test_no_command_runs_with_such_a_library(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (package.parent / _SOURCE).write_text("changed")
    check_build.cache_clear()
    monkeypatch.setattr("pgjit.build.__file__", str(package / "build.py"))
    for arguments in (["serve"], ["check"], ["--version"]):
        assert run(arguments) == Status.UNAVAILABLE
        assert "[compiled-code-differs]" in capsys.readouterr().err


def test_plain_python_needs_no_list(tmp_path: Path) -> None:
    for name in ("pgjit", "pgwire"):
        (tmp_path / name).mkdir()
    assert check_build(tmp_path / "pgjit") == Build()


@pytest.mark.skipif("PYTHONSAFEPATH" not in os.environ, reason="make test-compiled runs it")
def test_these_tests_use_compiled_modules() -> None:
    assert check_build().modules
    assert Path(pgwire.framing.__file__).name == f"framing{_SUFFIX}"
