"""What is in force after a reload, what needs a restart, and which connections lead elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pgjit.app.config_change import change_of, digests_of, kept_file
from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates

_GUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_POLICY = f"policy: reader\nconnection: prod\ngroup: {_GUID}\ngrant: on-request\nrecord: true\nttl: 30m\n"
_POLICY += "statements: {access: read-only}\n"
_FILE: dict[str, Any] = {
    "tls": {"certificate": "server.crt", "key": "server.key"},
    "identity": {"tenant": _GUID, "audience": _GUID},
    "connections": {"prod": {"host": "localhost", "database": "d", "user": "u", "password": {"file": "secret"}}},
    "policies": "policies",
    "api": {"audience": "8c9e6679-7425-40de-944b-e07fc1f90ae7"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_certificates(tmp_path)
    made.certificate.rename(tmp_path / "server.crt")
    made.key.rename(tmp_path / "server.key")
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "reader.yaml").write_text(_POLICY)
    return tmp_path


def _read(folder: Path, **sections: object) -> Config:
    (folder / "pgjit.yaml").write_text(json.dumps({**_FILE, **sections}, indent=1))
    return load_config(folder / "pgjit.yaml")


def _prod(**changes: object) -> dict[str, object]:
    return {"prod": {**_FILE["connections"]["prod"], **changes}}


@pytest.mark.parametrize(
    ("sections", "keys", "restart", "changed", "moved"),
    [
        ({}, (), (), (), set()),
        ({"limits": {"connections": 7}}, ("limits.connections",), (), (), set()),
        ({"log": {"level": "debug"}}, ("log.level",), (), (), set()),
        ({"reload": {"watch": True}}, ("reload.watch",), (), (), set()),
        ({"listen": {"port": 7}}, (), ("listen.port",), (), set()),
        ({"store": {"path": "other"}}, (), ("store.path",), (), set()),
        ({"node": "b"}, (), ("node",), (), set()),
        ({"api": {**_FILE["api"], "requests_per_minute": 7}}, (), ("api.requests_per_minute",), (), set()),
        ({"connections": _prod(connect_timeout=7)}, (), (), ("prod",), set()),
        ({"connections": _prod(warm=7)}, (), (), ("prod",), set()),
        ({"connections": _prod(host="elsewhere")}, (), (), ("prod",), {"prod"}),
        ({"connections": _prod(user="other")}, (), (), ("prod",), {"prod"}),
        ({"connections": _prod(search_path="other")}, (), (), ("prod",), {"prod"}),
        ({"connections": {**_prod(), "two": _prod()["prod"]}}, (), (), (), {"two"}),
    ],
    ids=str,
)
def test_each_key_is_in_force_or_needs_a_restart(
    folder: Path,
    sections: dict[str, object],
    keys: tuple[str, ...],
    restart: tuple[str, ...],
    changed: tuple[str, ...],
    moved: set[str],
) -> None:
    running, read = _read(folder), _read(folder, **sections)
    change = change_of(running, read, digests_of(running), digests_of(read))
    assert (change.keys, change.restart, change.connections.changed) == (keys, restart, changed)
    assert change.moved == moved
    kept = kept_file(running, read)
    assert (kept.listen, kept.store, kept.node) == (running.file.listen, running.file.store, running.file.node)
    assert (kept.limits, kept.connections) == (read.file.limits, read.file.connections)


@pytest.mark.parametrize(
    ("file", "keys", "changed", "policies"),
    [
        ("secret", (), ("prod",), ()),
        ("policies/reader.yaml", (), (), ("reader",)),
        ("server.crt", ("tls",), (), ()),
        ("pgjit.yaml", (), (), ()),
    ],
)
def test_what_files_hold_is_compared(
    folder: Path, file: str, keys: tuple[str, ...], changed: tuple[str, ...], policies: tuple[str, ...]
) -> None:
    running = _read(folder)
    before = digests_of(running)
    with (folder / file).open("a") as other:
        other.write("# another\n")
    read = load_config(folder / "pgjit.yaml")
    change = change_of(running, read, before, digests_of(read))
    assert (change.keys, change.connections.changed, change.policies.changed) == (keys, changed, policies)
    assert change.logins == changed
