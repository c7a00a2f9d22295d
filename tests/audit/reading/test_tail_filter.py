"""Which records of a followed journal are shown."""

from __future__ import annotations

from typing import Any

from pgjit.audit.reading.tail_filter import TailFilter
from tests.audit.reading.conftest import WrittenJournal


def test_an_outcome_is_shown_with_its_execution_and_a_filter_finds_what_the_records_have(
    written: WrittenJournal,
) -> None:
    session = written.of("session.opened")[2]
    oid, display = session["identity"]["oid"], session["identity"]["display"]
    of_window = {each["execution"] for each in written.of("execution") if each["window"] == session["window"]["id"]}
    rows: list[tuple[dict[str, Any], int]] = [
        ({"kinds": frozenset({"outcome"}), "window": session["window"]["id"]}, len(of_window)),
        ({"kinds": frozenset({"execution"}), "session": session["session"]}, len(of_window)),
        ({"kinds": frozenset({"window"})}, sum(each["type"].startswith("window.") for each in written.records)),
        ({"decision": "deny"}, 2 * sum(each["decision"] == "deny" for each in written.of("execution"))),
        ({"text": "COUNT(*)"}, 2 * sum("count(*)" in each["statement"] for each in written.of("execution"))),
    ]
    for chosen, count in rows:
        shown = TailFilter(catalog=True, **chosen)
        assert (chosen, sum(map(shown.takes, written.records))) == (chosen, count)
    executions = frozenset({"execution"})
    by_name, by_oid = (
        TailFilter(identity=display.upper(), kinds=executions),
        TailFilter(identity=oid, kinds=executions),
    )
    found = [by_name.takes(each) for each in written.records]
    assert found == [by_oid.takes(each) for each in written.records]
    hidden = sum(each.get("about") == "catalog" for each in written.of("execution"))
    assert sum(map(TailFilter(kinds=executions).takes, written.records)) == len(written.of("execution")) - hidden


def test_who_it_was_is_known_from_the_sessions_start(written: WrittenJournal) -> None:
    session = written.of("session.opened")[0]
    execution = next(each for each in written.of("execution") if each["execution"].startswith(session["session"]))
    shown = TailFilter()
    assert shown.who(execution) == session["identity"]["oid"]
    shown.note(session)
    assert shown.who(execution) == session["identity"]["display"]
