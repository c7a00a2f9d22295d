"""The journal is signed as configured: with a key of its own if none is given, and not at all if it was changed."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgjit.app.checkpoints import open_checkpoints
from pgjit.app.from_config import writer_of
from pgjit.audit.event import ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.proof.key_file import new_private_key, public_pem, verifier_key
from pgjit.audit.rotation import Rotation
from pgjit.audit.segments import list_segments
from pgjit.audit.sinks import SegmentSink
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates
from pgjit.errors import ServerUnavailable
from pgjit.telemetry.metrics import Metrics
from tests.audit.proof.witnessing import WITNESS
from tests.fakes.collector import Collector
from tests.run.waiting import until

POLICIES = Path(__file__).parents[2] / "policies"
AT = datetime(2026, 11, 29, tzinfo=UTC)
TEXT = """
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
connections:
  prod-replica: {{host: db.internal, database: shop, user: pgjit_agent}}
  prod-primary: {{host: db-1.internal, database: shop, user: pgjit_writer}}
policies: {policies}
journal:
  checkpoint: {checkpoint}
"""
Configure = Callable[[str], Config]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    make_certificates(tmp_path)

    def write(checkpoint: str) -> Config:
        path = tmp_path / "pgjit.yaml"
        path.write_text(TEXT.format(policies=POLICIES, checkpoint=checkpoint))
        return load_config(path)

    return write


@asynccontextmanager
async def life(
    config: Config,
    records: int,
    rotation: Rotation = Rotation(),  # noqa: B008
    metrics: Metrics | None = None,
) -> AsyncIterator[Journal]:
    """A life of pgjit: so many records, and a regular stop."""
    sink = SegmentSink(config.path(config.file.journal.folder), writer_of(config))
    journal = Journal.open(sink, rotation=rotation)
    try:
        async with open_checkpoints(config, journal, lambda: AT, metrics or Metrics()):
            for _ in range(records):
                journal.append([ServiceStarted(at=AT, version="1", config_hash="x" * 64, policies=())])
            yield journal
    finally:
        await journal.close()


def verified(folder: Path, *more: str) -> int:
    return run(["audit", "verify", "--config", str(folder / "pgjit.yaml"), *more])


async def test_without_a_key_one_is_made_once_and_all_is_signed_at_the_stop(
    configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure("{}")
    for number in (1, 2):
        async with life(config, 40, Rotation(bytes=2000)):
            pass
        assert verified(tmp_path) == Status.OK
        out = capsys.readouterr().out
        assert f"signed up to line {40 * number}\n" in out
        assert "not signed yet" not in out
    key = tmp_path / "journal.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert caplog.text.count("it proves nothing against who controls this machine") == 1
    assert len(list_segments(tmp_path / "journal")) > 2
    assert len(list((tmp_path / "journal").glob("*.subtrees"))) == len(list_segments(tmp_path / "journal")) - 1


async def test_a_journal_that_was_changed_is_not_continued(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure("{}")
    async with life(config, 5):
        pass
    path = list_segments(tmp_path / "journal")[0].path
    content = path.read_bytes()
    for changed in (content.replace(b'"seq":3,', b'"seq":9,'), content[: content.rindex(b"{")]):
        path.write_bytes(changed)
        with pytest.raises(ServerUnavailable) as refused:
            async with life(config, 1):
                pytest.fail("it goes on")
        assert refused.value.reference == "journal-tampered"
        assert f"pgjit audit verify {tmp_path / 'journal'}" in str(refused.value.hint)
        assert path.read_bytes() == changed
        assert verified(tmp_path) == Status.FAILED
    path.write_bytes(content)
    async with life(config, 1):
        pass
    assert verified(tmp_path) == Status.OK


async def test_a_key_that_is_missing_is_not_replaced_in_silence(configure: Configure, tmp_path: Path) -> None:
    config = configure("{}")
    async with life(config, 1):
        pass
    (tmp_path / "journal.key").unlink()
    with pytest.raises(ServerUnavailable, match="the journal cannot be signed") as refused:
        async with life(config, 1):
            pytest.fail("it goes on")
    assert "which signed the journal before, is missing" in str(refused.value.detail)
    (tmp_path / "journal.key").write_text("not a key")
    with pytest.raises(ServerUnavailable, match="the journal cannot be signed"):
        async with life(config, 1):
            pytest.fail("it goes on")


async def test_a_key_is_replaced_by_naming_the_one_before(configure: Configure, tmp_path: Path) -> None:
    async with life(configure("{}"), 3):
        pass
    old = verifier_key(str(tmp_path / "journal.key"), "x").public
    (tmp_path / "old.pub").write_text(public_pem(old))
    new_private_key(tmp_path / "new.key")
    with pytest.raises(ServerUnavailable) as refused:
        async with life(configure("{key: new.key}"), 3):
            pytest.fail("it goes on")
    assert "previous_keys" in str(refused.value.hint)
    async with life(configure("{key: new.key, previous_keys: [old.pub]}"), 3):
        pass
    assert verified(tmp_path) == Status.OK
    for key, status in (("new.key", Status.OK), ("old.pub", Status.FAILED)):  # the new one covers all before it too
        assert verified(tmp_path, "--key", str(tmp_path / key)) == status


async def test_checkpoints_go_where_the_configuration_says(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    config = configure("{every_seconds: 0.1, send: {share: {kind: folder, folder: kept}, out: {kind: stdout}}}")
    async with life(config, 3):
        async with asyncio.timeout(60):
            while not any(kept.iterdir()):  # while it runs
                await asyncio.sleep(0)
    capsys.readouterr()
    assert verified(tmp_path, "--checkpoint", str(kept)) == Status.OK
    async with life(config, 2):
        pass
    assert '"size":5' in capsys.readouterr().out
    lines = list_segments(tmp_path / "journal")[0].path
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:4]))
    (tmp_path / "journal" / "checkpoint").unlink()
    history = tmp_path / "journal" / "checkpoints.jsonl"
    history.write_bytes(b"".join(history.read_bytes().splitlines(keepends=True)[:1]))
    assert verified(tmp_path) == Status.OK  # its folder does not show that its end was cut off
    assert verified(tmp_path, "--checkpoint", str(kept)) == Status.FAILED


@pytest.mark.live  # a witness that does not answer
async def test_what_fails_is_counted_and_shown_from_the_start(configure: Configure) -> None:
    send = "send: {share: {kind: folder, folder: missing}, out: {kind: stdout}}"
    witness = f"witnesses: {{w1: {{url: 'http://127.0.0.1:1/', key: '{WITNESS.text}'}}}}"
    metrics = Metrics()
    failures = metrics.checkpoint_send_failures, metrics.checkpoint_witness_failures

    def counted() -> list[dict[tuple[str, ...], float]]:
        return [dict(family.collect()) for family in failures]

    async with life(configure(f"{{every_seconds: 0.1, {send}, {witness}}}"), 3, metrics=metrics):
        assert counted() == [{("share",): 0, ("out",): 0}, {("w1",): 0}]
        assert dict(metrics.checkpoint_unsigned.collect()) == {(): 3}
        await until(lambda: all((counted()[0][("share",)], counted()[1][("w1",)])))
        assert counted()[0][("out",)] == 0
    assert dict(metrics.checkpoint_unsigned.collect()) == {(): 0}
    assert dict(metrics.checkpoint_failures.collect()) == dict(metrics.checkpoint_age.collect()) == {(): 0}


@pytest.mark.live
async def test_the_collector_of_the_configuration_gets_checkpoints(configure: Configure, tmp_path: Path) -> None:
    with Collector() as collector:
        config = configure(f"{{send: {{siem: {{kind: otlp}}}}}}\notlp: {{endpoint: '{collector.endpoint}'}}")
        async with life(config, 3):
            pass
    kept = tmp_path / "kept"
    kept.write_text(collector.logs[-1].body.string_value)
    assert (collector.logs[-1].event_name, collector.requests[-1][0]) == ("pgjit.checkpoint", "/v1/logs")
    assert verified(tmp_path, "--checkpoint", str(kept)) == Status.OK


def test_faults_of_the_configuration_are_named(configure: Configure) -> None:
    from pgjit.errors import InvalidFile

    cases = {
        "{send: {siem: {kind: otlp}}}": "`journal.checkpoint.send.siem.kind` needs a collector",
        "{key: a, command: [b], public_key: c}": "give either `key` or `command`",
        "{command: [b]}": "`command` and `public_key` are given together",
        "{send: {x: {kind: folder}}}": "`folder` is given with `kind: folder`",
        "{send: {x: {kind: webhook, url: 'ftp://x'}}}": "a URL begins with https:// or http://",
        "{witnesses: {x: {url: 'https://x', key: nothing}}}": "a public key has the form `name+id+key`",
        "{every_seconds: 0}": "greater than or equal to 0.1",
    }
    for text, fault in cases.items():
        with pytest.raises(InvalidFile) as refused:
            configure(text)
        assert fault in str(refused.value.detail), text
    witnessed = configure(f"{{witnesses: {{x: {{url: 'https://x', key: '{WITNESS.text}'}}}}}}")
    assert witnessed.file.journal.checkpoint.witnesses["x"].key == WITNESS.text
