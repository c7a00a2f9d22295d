"""pgjit as it is served: a process of `pgjit serve` with everything on, and the demo's emulator for its tokens.

Everything on: a token for each login, rules that need the catalog, the journal with its proof, telemetry at its
defaults. Only the limits that keep one agent from taking the whole proxy are raised, as one agent is all there is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from pgjit.demo.certificates import Certificates
from tests.bench.pages import PEOPLE_AUDIENCE, api_section, principals
from tests.bench.ports import free_port
from tests.bench.postgres import DATABASE, ROLE
from tests.bench.watched import reset_stall
from tests.run.processes import finish, own

__all__ = ["Served", "run_served"]

_TENANT, _AUDIENCE = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
_CLIENT = "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60"
_GROUPS = {
    "bench-read": "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11",
    "bench-write": "6d3e8b15-94f7-4a2c-b1d0-3c7a5e9f8240",
}
_WATCHED = Path(__file__).with_name("watched.py")
_SECONDS = 60
_MANY = 10_000
_LIMITS = {
    "connections": _MANY, "connections_per_address": _MANY, "sessions_per_identity": _MANY, "handshake_seconds": 300,
    "catalog_seconds": 60, "journal_bytes_per_second": 2**40, "message_bytes": 2**28,
}  # fmt: skip
_POLICIES: dict[str, dict[str, object]] = {
    # What it denies is not in the way of any case, and makes the rules look up every name.
    "bench-read": {"access": "read-only", "deny": [{"columns": ["public.pgbench_branches.filler"]}]},
    "bench-write": {"access": "read-write", "deny": [{"columns": ["public.pgbench_branches.filler"]}]},
}


@dataclass(frozen=True)
class Served:
    port: int
    group: int
    token: str
    folder: Path
    console: str = ""
    """its address, where it has one"""

    @property
    def stall(self) -> Path:
        """Where the longest stall of its event loop is."""
        return self.folder / "serve-stall"


@contextmanager
def run_served(
    folder: Path,
    certificates: Certificates,
    host: str,
    port: int,
    password: str,
    *,
    warm: int = 0,
    workers: int = 1,
    store: str | None = None,
    console: bool = False,
) -> Iterator[Served]:
    """pgjit in front of the server at that host. `warm`: connections that it makes ahead. `console`: it has one.

    `store`: a database of that server, which belongs to the bench's role. Several `workers` need one.
    """
    home = folder / f"pgjit-{port}"
    address = f"https://localhost:{free_port()}" if console else ""
    (home / "policies").mkdir(parents=True)
    (home / "password").write_text(password)
    (home / "password").chmod(0o600)
    (home / "emulator.yaml").write_text(yaml.safe_dump(_emulator(address)))
    for name, statements in _POLICIES.items():
        (home / "policies" / f"{name}.yaml").write_text(yaml.safe_dump(_policy(name, statements)))
    with _run(home, "emulator", "--config", str(home / "emulator.yaml"), "--port", "0") as (emulated, _):
        authority = str(emulated["authority"])
        connection = {"host": host, "port": port, "database": DATABASE, "user": ROLE}
        if warm:  # an earlier version does not know the key
            connection["warm"] = warm
        config = {
            "listen": {"host": "127.0.0.1", "port": 0},
            "tls": {"certificate": str(certificates.certificate), "key": str(certificates.key)},
            "identity": {"tenant": _TENANT, "audience": _AUDIENCE, "authority": authority},
            "connections": {DATABASE: {**connection, "password": {"file": str(home / "password")}}},
            "policies": "policies",
            "store": {"path": "pgjit.sqlite3"},
            "journal": {"folder": "journal"},
            "admin": {"port": 0},
            "limits": _LIMITS,
        }
        if console:
            config["api"] = api_section(address, home)
        if workers > 1:
            config |= {"node": "bench", "workers": workers}
        if store is not None:
            url = f"postgresql://{ROLE}@/{store}?host={host}&port={port}"
            config["store"] = {"kind": "postgres", "url": url, "password": {"file": str(home / "password")}}
        (home / "pgjit.yaml").write_text(yaml.safe_dump(config))
        if store is not None:
            _upgrade_store(home)
        with _run(home, "serve", "--config", str(home / "pgjit.yaml"), "--json") as (places, process):
            listen, admin = (int(str(places[name]).rsplit(":", 1)[1]) for name in ("listen", "admin"))
            _await_ready(admin)
            served = Served(listen, process.pid, _fetch_token(authority), home, address)
            reset_stall(served.stall)  # the start, with its imports, is no stall: nobody was connected
            yield served


def _upgrade_store(home: Path) -> None:
    command = (sys.executable, "-P", "-m", "pgjit", "store", "upgrade", "--config", home / "pgjit.yaml")
    done = finish(*command, seconds=_SECONDS, cwd=home)
    if done.status != 0:
        raise SystemExit(f"bench: pgjit store upgrade failed: {done.err[-2000:]}")


def _policy(name: str, statements: dict[str, object]) -> dict[str, object]:
    return {
        "policy": name, "connection": DATABASE, "group": {"id": _GROUPS[name]}, "grant": "on-request", "ttl": "8h",
        "record": True, "statements": statements,
    }  # fmt: skip


def _emulator(console: str) -> dict[str, object]:
    app = {"name": "bench", "client_id": _CLIENT, "secret": "s3cret-for-the-bench", "groups": list(_GROUPS.values())}
    settings: dict[str, object] = {"tenant": _TENANT, "audience": _AUDIENCE, "apps": [app]}
    if console:
        settings |= {"api": {"others": [PEOPLE_AUDIENCE]}, "principals": principals(console)}
    return settings


@contextmanager
def _run(home: Path, *arguments: str) -> Iterator[tuple[dict[str, object], subprocess.Popen[str]]]:
    """A command of pgjit that prints its addresses as a JSON line, and goes on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "OTEL_"))}
    environment["PYTHONHASHSEED"] = "0"  # sets and dicts are the same in each run
    environment["PYTHONSAFEPATH"] = "1"  # pgjit is the one that this Python has installed
    with (home / f"{arguments[0]}.log").open("w") as log, own(
        *os.environ.get("PGJIT_BENCH_PYTHON", sys.executable).split(), _WATCHED,
        home / f"{arguments[0]}-stall", *arguments, stderr=log.fileno(), env=environment, cwd=home,
    ) as process:  # fmt: skip
        line = _first_line(process.stdout)
        if not line:
            raise SystemExit(
                f"bench: pgjit {arguments[0]} did not start: {(home / f'{arguments[0]}.log').read_text()}"
            )
        yield json.loads(line), process


def _first_line(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline()


def _await_ready(admin: int) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("bench: pgjit is not ready")


def _fetch_token(authority: str) -> str:
    """By the client credentials grant, as an agent does."""
    form = {
        "grant_type": "client_credentials", "client_id": _CLIENT, "client_secret": "s3cret-for-the-bench",
        "scope": f"{_AUDIENCE}/.default",
    }  # fmt: skip
    url = f"{authority}/{_TENANT}/oauth2/v2.0/token"
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=_SECONDS) as response:
        return str(json.load(response)["access_token"])
