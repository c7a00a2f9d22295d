"""Finds a real psql that can use TLS, for the demo and the tests.

The embedded server's wheel has psql 18, but its libpq is built without TLS. psycopg's wheel has a libpq of the same
version with TLS. Decides which psql runs: the wheel's with psycopg's libpq, or one that is installed. The wheel's
other client programs run in the same way.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from pathlib import Path

from pgjit.errors import ServerUnavailable

__all__ = ["write_program", "write_psql"]


def write_psql(folder: Path, embedded: Path) -> Path:
    """Write a command `psql` into `folder`. Raises ServerUnavailable if no psql with TLS is found."""
    command = write_program(folder, embedded)
    if command is not None:
        return command
    installed = shutil.which("psql")
    if installed is None:
        raise ServerUnavailable(
            "there is no psql that can speak TLS",
            reference="no-psql",
            hint="Install PostgreSQL's client programs, so that psql is on the PATH.",
        )
    return _write(folder / "psql", f"exec {shlex.quote(installed)}")


def write_program(folder: Path, embedded: Path) -> Path | None:
    """Write a command into `folder` that runs the embedded client program with TLS. None if that is not possible."""
    libpq = _libpq()
    if libpq is None:
        return None
    return _write(folder / embedded.name, f"LD_PRELOAD={shlex.quote(str(libpq))} exec {shlex.quote(str(embedded))}")


def _write(command: Path, run: str) -> Path:
    command.write_text(f'#!/bin/sh\n{run} "$@"\n')
    command.chmod(0o755)
    return command


def _libpq() -> Path | None:
    """The libpq in psycopg's binary wheel for Linux; None on other systems."""
    package = importlib.util.find_spec("psycopg_binary")
    if package is None or package.origin is None:
        return None
    libraries = Path(package.origin).parents[1] / "psycopg_binary.libs"
    return next(iter(sorted(libraries.glob("libpq-*.so.5*"))), None)
