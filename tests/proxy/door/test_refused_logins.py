"""Refused connections in the journal: recorded one by one or counted, but never left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.door.refused_logins import Counted, RefusedLogins, Tally
from pgjit.telemetry import Telemetry
from tests.fakes.both_ends import NOW
from tests.run.journal_text import journal_lines

ONE = ClientAddress("10.0.0.7:51000", "10.0.0.7")


class FullSink(SegmentSink):
    """A file on a disk that is full while `full`."""

    full = False

    def append(self, lines: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(lines)


def test_so_many_of_an_address_and_so_many_over_all_have_records_of_their_own() -> None:
    tally = Tally()
    assert [tally.allow_single("a") for _ in range(12)] == [True] * 10 + [False] * 2
    assert sum(tally.allow_single(f"b{n}") for n in range(200)) == 90
    tally.drain()
    assert tally.allow_single("a")


def test_more_addresses_than_are_kept_apart_are_others() -> None:
    tally = Tally()
    for number in range(300):
        tally.count(Counted(f"a{number}", "handshake-failed", "08P01"))
    turned = dict(tally.drain())
    assert len(turned) == 257
    assert turned[Counted("other addresses", "handshake-failed", "08P01")] == 44
    assert tally.drain() == []


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["a", "b"])), max_size=500))
def test_every_counted_refusal_is_recorded(refused: list[tuple[int, str]]) -> None:
    tally = Tally()
    for number, reference in refused:
        tally.count(Counted(f"a{number}", reference, "08P01"))
    assert sum(times for _, times in tally.drain()) == len(refused)


@pytest.mark.parametrize(("full_at", "single"), [(99, 10), (0, 0), (5, 5), (12, 10)])
async def test_a_journal_that_takes_nothing_for_a_while_has_all_of_it_later(
    tmp_path: Path, full_at: int, single: int
) -> None:
    sink, telemetry = FullSink(tmp_path / "journal"), Telemetry(version="0")
    journal = Journal.open(sink)
    refusals = RefusedLogins(journal, lambda: NOW, telemetry)
    for number in range(15):
        sink.full = number >= full_at
        refusals.note_unauthenticated(ONE, "handshake-failed", "08P01", "closed")
    refusals._write_counts()
    sink.full = False
    refusals.close()
    await journal.close()
    lines = [json.loads(line) for line in journal_lines(tmp_path / "journal")]
    assert sum(line["count"] for line in lines) == 15
    assert [line["count"] for line in lines if line["source"] == ONE.source] == [1] * single
    assert {line["source"] for line in lines if line["count"] > 1} <= {ONE.network}


async def test_many_tokens_that_the_api_does_not_accept_are_counted_into_one_record(tmp_path: Path) -> None:
    telemetry = Telemetry(version="0")
    journal = Journal.open(SegmentSink(tmp_path / "journal"))
    refusals = RefusedLogins(journal, lambda: NOW, telemetry)
    for number in range(600):
        client = ClientAddress.of(f"2001:db8::{number:x}", 51000)
        refusals.note_unauthenticated(client, "signature", "28P01", "not signed by the provider")
    refusals.close()
    await journal.close()
    lines = [json.loads(line) for line in journal_lines(tmp_path / "journal")]
    assert [line["count"] for line in lines] == [1] * 10 + [590]
    assert lines[-1]["source"] == "2001:db8::/64"
