"""A server that misbehaves in a session: the client gets one error, each execution one outcome."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from pgjit.demo.certificates import Certificates
from pgjit.policy.policy import Preset
from pgwire.messages.extended import sync
from tests.fakes.both_ends import answer, bind, error, execute, parse, query
from tests.fakes.scripted_server import Step, close, expect, fatal, send, status, until_left
from tests.fakes.whole_proxy import WholeProxy, errors, kinds

READY = answer("Z", b"I")
COLUMNS, ROW, DONE = answer("T", b"\0\0"), answer("D", b"\0\1\0\0\0\x017"), answer("C", b"SELECT 1\0")
ASKS_FOR_DATA, GIVES_DATA = answer("G", b"\0\0\0"), answer("H", b"\0\0\0")
GONE = ("FATAL", "57P03")
BROKE = ("FATAL", "08P01")
SHUTDOWN = fatal("57P01", "terminating connection due to administrator command")
SELECT = query("SELECT 1")
COPY_IN, COPY_OUT = query("COPY t FROM STDIN"), query("COPY t TO STDOUT")
IDLE = sync()  # answered first: then the client is logged in and idle
BATCH = parse("SELECT 1") + bind() + execute() + sync()


@dataclass(frozen=True)
class Case:
    """What the client sends, what the server does then, the client's errors, and the records."""

    name: str
    asks: bytes
    does: tuple[bytes | Step, ...]
    errors: tuple[tuple[str, str], ...]
    outcomes: tuple[str, ...]
    hears: str = ""  # message types that go before the last error
    reason: str = "server"
    preset: Preset = Preset.READ_ONLY

    def steps(self, asked: str) -> list[Step]:
        does: list[Step] = [send(one) if isinstance(one, bytes) else one for one in self.does]
        return [*(expect(kind) for kind in asked), *does, until_left()]


def header(kind: str, length: int) -> bytes:
    return kind.encode() + struct.pack("!I", length & 0xFFFFFFFF)


def dies(name: str, asks: bytes, *does: bytes, error: bool = True, hears: str = "", **more: object) -> Case:
    """The server closes without an error; inside a message the client can get none."""
    outcomes = () if asks == IDLE else ("cut",)
    return Case(
        f"closes {name}", asks, (*does, close()), (GONE,) if error else (), outcomes, hears,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def breaks(name: str, asks: bytes, *does: bytes, hears: str = "", **more: object) -> Case:
    """It breaks the protocol."""
    outcomes = () if asks == IDLE else ("cut",)
    given: dict[str, object] = {"outcomes": outcomes, **more}
    return Case(name, asks, does, (BROKE,), hears=hears, **given)  # type: ignore[arg-type]


LENGTHS = (0, 3, -1, -(2**31), 2**30 + 4)
CASES = [
    dies("idle", IDLE, READY, hears="Z"),
    dies("running", SELECT),
    dies("mid-row", SELECT, COLUMNS + ROW[:-1], error=False, hears="T"),
    dies("mid-header", SELECT, COLUMNS + ROW + ROW[:3], hears="TD"),
    dies("mid-control", SELECT, COLUMNS + ROW + DONE[:-2], hears="TD"),
    dies("between messages", SELECT, COLUMNS + ROW, hears="TD"),
    Case("closes before ReadyForQuery", SELECT, (COLUMNS + DONE, close()), (GONE,), ("completed",), "TC"),
    Case("closes after an error", SELECT, (error("22012", "no"), close()), (("ERROR", "22012"), GONE), ("failed",)),
    Case("says FATAL", SELECT, (SHUTDOWN, close()), (("FATAL", "57P01"),), ("failed",)),
    Case("says FATAL while idle", IDLE, (READY, SHUTDOWN, close()), (("FATAL", "57P01"),), (), "Z"),
    Case("says FATAL and half a row", SELECT, (SHUTDOWN + ROW[:-1], close()), (("FATAL", "57P01"),), ("failed",)),
    Case("says PANIC", SELECT, (error("XX000", "no", "PANIC"), close()), (("PANIC", "XX000"),), ("failed",)),
    Case("says nothing of the kind", SELECT, (answer("E", b"SERROR\0VERROR\0Mno\0\0") + READY, close()),
         (("ERROR", ""), GONE), ("failed",), "EZ"),
    dies("mid COPY in", COPY_IN, ASKS_FOR_DATA, hears="G", preset=Preset.READ_WRITE),
    dies("mid COPY out", COPY_OUT, GIVES_DATA + answer("d", b"1\n"), hears="Hd", preset=Preset.FULL),
    Case("resets", SELECT, (COLUMNS + ROW, close(reset=True)), (GONE,), ("cut",)),
    # Lengths that lie.
    *(breaks(f"length {length} of {kind}", SELECT, COLUMNS + header(kind, length), hears="T")
      for kind in "DCZSNE" for length in LENGTHS if kind == "D" or length == -1),
    breaks("a message longer than any", SELECT, COLUMNS + header("C", 1 << 25), hears="T"),
    dies("with more announced than comes", SELECT, COLUMNS + header("C", 1 << 23) + DONE, hears="T"),
    # Messages that nothing requested.
    *(breaks(f"{kind!a} while idle", IDLE, READY, answer(kind), hears="Z") for kind in "1CDGHTWZsnt~"),
    *(breaks(f"{kind!a} in answer to a query", SELECT, COLUMNS + ROW + answer(kind), hears="TD")
      for kind in "123tnsVvKRW~\x01"),
    breaks("a type of 0", SELECT, COLUMNS + answer("\0"), hears="T"),
    breaks("rows in answer to Parse", BATCH, ROW),
    breaks("ReadyForQuery too early", BATCH, answer("1") + READY, hears="1"),
    breaks("ReadyForQuery twice", SELECT, COLUMNS + DONE + READY + READY, hears="TCZ", outcomes=("completed",)),
    breaks("ReadyForQuery with a bad status", SELECT, DONE + answer("Z", b"?"), hears="C", outcomes=("completed",)),
    breaks("ReadyForQuery without a status", SELECT, DONE + answer("Z"), hears="C", outcomes=("completed",)),
    breaks("it asks for data that nobody offered", SELECT, ASKS_FOR_DATA),
    breaks("it copies both ways", SELECT, answer("W", b"\0\0\0")),
    breaks("a setting without an end", SELECT, COLUMNS + answer("S", b"TimeZone"), hears="T"),
    # What was refused and is accepted.
    breaks("it runs what was refused", query("DELETE FROM t"), answer("C", b"DELETE 5\0") + READY),
    breaks("it gives rows for what was refused", query("DELETE FROM t"), COLUMNS + ROW),
    breaks("it gives rows alone for what was refused", query("DELETE FROM t"), ROW),
    breaks("it parses what was refused", parse("DELETE FROM t") + sync(), answer("1") + READY),
    breaks("it is done at once with what was refused", query("DELETE FROM t"), READY),
]  # fmt: skip


# Each length with each type; in each run is one type with every length, and every type with one.
OTHER_LENGTHS = [
    breaks(f"length {length} of {kind}", SELECT, COLUMNS + header(kind, length), hears="T")
    for kind in "CZSNE" for length in LENGTHS if length != -1
]  # fmt: skip


def _asked(case: Case) -> str:
    """The types that the server reads before it does something."""
    if case.asks == BATCH:
        return "PBES"
    if case.asks.startswith(b"P"):
        return "P"
    return "S" if case.asks == IDLE else "Q"


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=case.name) for case in CASES),
        *(pytest.param(case, id=case.name, marks=pytest.mark.slow) for case in OTHER_LENGTHS),
    ],
)
async def test_one_error_one_outcome_and_nothing_left(case: Case, tmp_path: Path, certificates: Certificates) -> None:
    async with WholeProxy(tmp_path, certificates, case.steps(_asked(case)), preset=case.preset) as proxy:
        async with await proxy.client() as client:
            await client.send(case.asks)
            async with asyncio.timeout(60):
                heard = await client.frames()
        await proxy.over()
        assert tuple(errors(heard)) == case.errors
        if case.hears:
            assert kinds(heard)[: len(case.hears)] == case.hears
            assert kinds(heard).rstrip("E") == case.hears.rstrip("E")
        assert tuple(proxy.outcomes) == case.outcomes
        assert proxy.session_ended["reason"] == case.reason
        assert proxy.session_ended["proof"]["gone"]


PINNED = [
    ("client_encoding", "SQL_ASCII"),
    ("standard_conforming_strings", "off"),
    ("default_transaction_read_only", "off"),
    ("session_authorization", "postgres"),
    ("is_superuser", "on"),
]
PLACES: dict[str, tuple[bytes, str, bytes, str, tuple[str, ...]]] = {
    # the client's messages, those the server reads, its answers, what the client receives, the outcomes
    "idle": (IDLE, "S", READY, "Z", ()),
    "mid-result": (SELECT, "Q", COLUMNS + ROW + ROW, "TDD", ("cut",)),
    "before ReadyForQuery": (SELECT, "Q", COLUMNS + ROW + DONE, "TDC", ("completed",)),
    "inside a batch": (
        BATCH + BATCH,
        "PBESPBES",
        answer("1") + answer("2") + ROW + DONE,
        "12DC",
        ("completed", "cut"),
    ),
    "after a refusal": (query("DELETE FROM t"), "Q", b"", "", ("cut",)),
}


def _changes() -> Iterator[ParameterSet]:
    """In each run: every setting while idle, and every place with one of the settings."""
    for number, place in enumerate(PLACES):
        for index, (name, value) in enumerate(PINNED):
            always = place == "idle" or index == number
            marks = () if always else (pytest.mark.slow,)
            yield pytest.param(place, name, value, id=f"{place}-{name}", marks=marks)


@pytest.mark.parametrize(("place", "name", "value"), list(_changes()))
async def test_a_pinned_setting_that_changes_ends_the_session(
    place: str, name: str, value: str, tmp_path: Path, certificates: Certificates
) -> None:
    asks, reads, before, hears, outcomes = PLACES[place]
    steps = [*(expect(kind) for kind in reads), send(before + status(name, value) + ROW + READY), until_left()]
    async with WholeProxy(tmp_path, certificates, steps) as proxy:
        async with await proxy.client() as client:
            await client.send(asks)
            async with asyncio.timeout(60):
                heard = await client.frames()
        await proxy.over()
        assert kinds(heard) == hears + "E"
        assert errors(heard) == [("FATAL", "57P03")]
        assert tuple(proxy.outcomes) == outcomes
        assert proxy.session_ended["reason"] == "tripwire"


async def test_a_setting_that_may_change_goes_on_everywhere(tmp_path: Path, certificates: Certificates) -> None:
    change = status("TimeZone", "Europe/Berlin")
    steps = [
        expect("S"),
        send(READY + change),
        expect("Q"),
        send(change + COLUMNS + change + ROW + change + DONE + change + READY + change),
    ]
    async with WholeProxy(tmp_path, certificates, [*steps, until_left()]) as proxy:
        async with await proxy.client() as client:
            await client.send(IDLE)
            assert kinds(await client.frames("S")) == "ZS"
            await client.send(SELECT)
            assert kinds(await client.frames("Z") + await client.frames("S")) == "STSDSCSZS"
            await client.send(b"X\0\0\0\4")
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"]
        assert (proxy.session_ended["reason"], proxy.session_ended["proof"]) == ("client", None)


@pytest.mark.parametrize("how", ["dies", "breaks the protocol"])
async def test_a_client_does_not_wait_for_the_proof_that_its_backend_is_gone(
    how: str, tmp_path: Path, certificates: Certificates
) -> None:
    """The server accepts no control connection meanwhile: the session continues the stop without its client."""
    fault = close() if how == "dies" else send(answer("~"))
    async with WholeProxy(tmp_path, certificates, [expect("Q"), fault, until_left()]) as proxy:
        async with await proxy.client() as client:
            proxy.server.refuses_control = SHUTDOWN
            await proxy.lose_controls()
            await client.send(SELECT)
            async with asyncio.timeout(60):
                assert errors(await client.frames()) == [GONE if how == "dies" else BROKE]
            assert len(proxy.services.registry) == 1, "it is not over"
            assert proxy.records("session.ended") == []
        proxy.server.refuses_control = None
        await proxy.over()
        assert proxy.outcomes == ["cut"]
        assert proxy.session_ended["proof"]["gone"]
