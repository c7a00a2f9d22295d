"""`pgjit doctor` over a whole installation, as its operator runs it beside the running proxy."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pgjit.cli.run import run
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import open_world
from tests.fakes.store_server import StoreServer


async def doctor(world: World, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    status = await asyncio.to_thread(run, ["doctor", "--config", str(world.config_file), *options])
    return status, capsys.readouterr().out


def found(document: dict[str, Any], *severities: str) -> set[tuple[str, str]]:
    """(step, reference) of each finding that is so severe."""
    return {
        (step["step"], one["reference"])
        for step in document["steps"]
        for one in step["findings"]
        if one["severity"] in severities
    }


async def test_the_doctor_looks_at_the_whole_installation(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    store = {"kind": "postgres", "url": store_server.url()}
    async with open_world(database, tmp_path, config={"store": store, "node": "one"}) as world:
        for secret in tmp_path.glob("*-secret"):
            secret.chmod(0o600)
        status, out = await doctor(world, capsys, "--json")
        document = json.loads(out)
        connections = [f"connection {name}" for name in ("prod-replica", "write-target")]
        steps = ["configuration", "files", "journal", "certificates", "keys", "store", *connections]
        assert [step["step"] for step in document["steps"]] == steps
        assert (status, document["dangers"], found(document, "danger")) == (0, 0, set())
        assert ("certificates", "certificate-expires") in found(document, "warning"), "it is one for tests"
        assert found(document, "note") >= {
            ("journal", "journal-folder"), ("keys", "keys"), ("store", "store"), ("store", "clock"),
            *((name, reference) for name in connections for reference in ("connection", "clock")),
        }  # fmt: skip

        world.certificates.key.chmod(0o644)
        (tmp_path / "journal.one.2.key").touch(mode=0o604)
        (tmp_path / "writer-secret").write_text("another-password")
        await world.emulator.close()
        status, out = await doctor(world, capsys)
        assert status == 1
        assert max(map(len, out.splitlines())) <= 80 or str(tmp_path) in out, "only paths are longer"
        for text in (
            "DANGER  every user of this machine may read secrets  [secret-readable]",
            f"  - {world.certificates.key} (tls.key)",
            f"  - {tmp_path / 'journal.one.2.key'} (a key that pgjit made for the journal)",
            "[keys-unusable]",
            "[connection-unusable]",
            "3 dangers,",
        ):
            assert text in out
        assert "another-password" not in out
