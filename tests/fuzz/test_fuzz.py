"""The oracles find what they are there to find, and a short run of the fuzzer finds nothing."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.proxy.relay.client_plan import Planned
from pgjit.proxy.relay.refusal import Refuser
from pgwire.framing import Frame, FrameReader, StreamReader
from pgwire.messages.query import decode_query
from pgwire.reader import message
from tests.fakes.both_ends import query
from tests.fuzz import targets
from tests.fuzz.relay_target import SEEDS, relay
from tests.protocol.samples import SAMPLES, Sample
from tests.run.processes import finish
from tests.run.rows import table

ROOT = Path(__file__).parents[2]
QUERY = next(sample for sample in SAMPLES if sample.decode is decode_query)

FOUND = {
    "a message of type 0 from the server was taken for the end of a chunk": (
        targets.stream, b"\0\0" + message(b"\0", b"\x12"),
    ),
    "a message of type 0 from the client was taken for the rest of one of its data messages": (
        partial(targets.frames, flowing=b"d"), b"\0\0" + message(b"d", b"1\n") + message(b"\0", b"2\n"),
    ),
    "the rest of a notice that came in two pieces was counted among the bytes of a result": (
        targets.stream, b"\x08\x08" + message(b"N", b"SNOTICE\0\0") + message(b"D", b"\0\0"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("target", "data"), FOUND.values(), ids=FOUND)
def test_what_was_found_once_does_not_come_back(target: targets.Target, data: bytes) -> None:
    target(data)


@table("data", targets.seeds())
def test_every_seed_is_read(data: bytes) -> None:
    targets.one_input(data)


def test_no_bytes_at_all_are_an_input_too() -> None:
    targets.one_input(b"")


@given(st.sampled_from(targets.TARGETS), st.binary(max_size=80))
def test_any_bytes_hold_for_any_target(target: targets.Target, data: bytes) -> None:
    target(data)


# --- the oracles can fail ---


def test_a_relay_that_forgets_to_refuse_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refuser, "refuse_query", lambda self, plan, *_: plan.items.append(Planned(query("bad"))))
    with pytest.raises(AssertionError):
        relay(SEEDS[1])


def _sloppy(body: bytes) -> bytes:
    return body.rstrip(b"\0")


def _raising(body: bytes) -> bytes:
    raise ValueError


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (replace(QUERY, decode=_sloppy), AssertionError),
        (replace(QUERY, decode=_raising), ValueError),
        (replace(QUERY, encode=lambda text: b"Q\0\0\0\x07" + text + b"\0"), AssertionError),
        (replace(QUERY, encode=lambda _: message(b"Q", b"other\0")), AssertionError),
    ],
    ids=["reads bytes that are too many", "raises something else", "writes a wrong length", "writes something else"],
)
def test_a_broken_message_is_found(broken: Sample, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        targets.decoded(broken, b"SELECT 1\0\0" if broken.decode is _sloppy else b"SELECT 1\0")


class _Broken:
    """Reads as the true reader does, but for one fault. No subclass of it: a compiled class can have none here."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


class _Forgetful(_Broken):
    """Drops the beginning of a frame whose end comes in another piece."""

    def __init__(self, limit: Callable[[int], int], **options: Any) -> None:
        self._new: Callable[[], FrameReader] = lambda: FrameReader(limit, **options)
        super().__init__(self._new())

    def feed(self, data: bytes) -> list[Frame]:
        self._reader = self._new()
        frames: list[Frame] = self._reader.feed(data)
        return frames


class _Lenient(_Broken):
    def __init__(self, _: Callable[[int], int], **options: Any) -> None:
        super().__init__(FrameReader(lambda _: 1 << 31, **options))


class _Uncounted(_Broken):
    def __init__(self, **options: Any) -> None:
        super().__init__(StreamReader(**options))

    def feed(self, data: bytes) -> tuple[bytes, list[Any]]:
        chunk, controls = self._reader.feed(data)
        return chunk, [(*one[:3], 0, one[4]) for one in controls]


@pytest.mark.parametrize(
    ("name", "broken", "data"),
    [
        ("FrameReader", _Forgetful, b"\x03\x03Q\0\0\0\x05\0"),
        ("FrameReader", _Lenient, b"\0\0S\0\0\0\x05\0"),
        ("StreamReader", _Uncounted, b"\0\0D\0\0\0\x04"),
    ],
)
def test_a_broken_reader_is_found(name: str, broken: type, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets.frames if name == "FrameReader" else targets.stream
    target(data)
    monkeypatch.setattr(targets, name, broken)
    with pytest.raises(AssertionError):
        target(data)


@pytest.mark.live
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this platform or this Python"
)
@pytest.mark.parametrize("runs", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_short_run_finds_nothing(runs: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", f"-runs={runs}", "-seed=1", "-max_len=3000"]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protocol'}"}
    done = finish(*command, cwd=tmp_path, env=environment, seconds=100)
    assert done.status == 0, done.out[-2000:] + done.err[-4000:]
    assert f"Done {runs} runs" in done.err
