"""Records as pgjit writes them, read back: what the views take from each type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgjit.audit.reading.reader import Reader, opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.reading.session_replay import replayed_session
from pgjit.audit.reading.values import as_documents
from pgjit.audit.reading.window_story import window_story
from pgjit.audit.record import render
from tests.audit.audit_events import EVENTS
from tests.audit.review_events import REVIEW_EVENTS
from tests.fixtures.journals import write_journal

WRITTEN = [*EVENTS.values(), *REVIEW_EVENTS.values()]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("real")
    lines = (render(event, seq).decode().removesuffix("\n") for seq, event in enumerate(WRITTEN, 1))
    write_journal(folder / "journal", lines)
    with opened_reader([folder / "journal"], SegmentCache(folder / "cache")) as reader:
        yield reader


def only(reader: Reader, view: str) -> dict[str, object]:
    [row] = as_documents(reader.query(f"SELECT * FROM {view}"))
    return row


def test_every_record_is_read(real: Reader) -> None:
    assert not real.notices
    kinds = [kind for (kind,) in real.query("SELECT type FROM records ORDER BY seq").rows]
    assert kinds == [*EVENTS, *REVIEW_EVENTS]


def test_an_execution_has_its_outcome_and_its_session(real: Reader) -> None:
    row = only(real, "executions")
    shown = ("execution", "oid", "display", "connection", "window", "decision", "rules", "writes", "ended", "rows")
    assert [row[name] for name in shown] == [
        "s_1/1", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "Schema “checks”", "shop", "w_1", "deny",
        ["statement-kind", "refused-with-message"], ["public.orders"], "completed", 1,
    ]  # fmt: skip
    assert (row["group"], row["normalised"]) == (
        "99999999-9999-4999-8999-999999999999", "DELETE FROM orders WHERE id = $1",
    )  # fmt: skip


def test_a_session_a_window_and_a_request_are_put_together(real: Reader) -> None:
    session = only(real, "sessions")
    assert (session["reason"], session["took_ms"], session["gone"], session["executions"]) == ("ttl", 12, True, 7)
    window = next(each for each in as_documents(real.query("SELECT * FROM windows")) if each["window"] == "w_1")
    assert (window["end_reason"], window["sessions"], window["reason"]) == ("ttl", 1, "schema diff, week 47")
    request = only(real, "requests")
    assert (request["state"], request["window"], request["verdicts"]) == ("used", "w_1", ["approved by Carol"])
    logins = real.query("SELECT outcome, reference FROM logins ORDER BY 1").rows
    assert logins == [("accepted", None), ("refused", "token-refused")]


def test_a_kill_is_in_the_story_of_its_window_and_before_the_end_of_its_session(real: Reader) -> None:
    [kill] = [each for each in window_story(real, "w_1").events if each["type"] == "session.killed"]
    assert (kill["reason"], kill["session"]) == ("it hangs", "s_1")
    _, steps = replayed_session(real, "s_1")
    kinds = [step.record["type"] for step in steps]
    assert kinds.index("session.killed") < kinds.index("session.ended")
    assert all(step.pause >= 0 for step in steps)
