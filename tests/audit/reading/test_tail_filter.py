"""Which records of a followed journal are shown."""

from __future__ import annotations

from datetime import datetime
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
        assert (chosen, sum(len(shown.take(b"", each)) for each in written.records)) == (chosen, count)
    executions = frozenset({"execution"})
    by_name, by_oid = (
        TailFilter(identity=display.upper(), kinds=executions),
        TailFilter(identity=oid, kinds=executions),
    )
    found = [by_name.take(b"", each) for each in written.records]
    assert found == [by_oid.take(b"", each) for each in written.records]
    visible = TailFilter(kinds=executions)
    hidden = sum(each.get("about") == "catalog" for each in written.of("execution"))
    assert sum(len(visible.take(b"", each)) for each in written.records) == len(written.of("execution")) - hidden


def test_it_finds_objects_groups_sqlstates_and_times_as_the_list_of_executions_does(written: WrittenJournal) -> None:
    executions, endings = written.of("execution"), {each["execution"]: each for each in written.of("outcome")}
    opened = {each["session"]: each for each in written.of("session.opened")}
    opened["s"] = session = {**written.of("session.opened")[0], "membership": {"group": "readers"}, "session": "s"}
    first = {**executions[0], "execution": "s/1"}
    table = next(name for each in executions for name in _objects(each))
    part = table.rpartition(".")[2]
    half = executions[len(executions) // 2]["time"]
    rows: list[tuple[dict[str, Any], set[str]]] = [
        ({"touches": table}, {e["execution"] for e in executions if table in _objects(e)}),
        ({"touches": part}, {e["execution"] for e in executions if any(o.endswith(f".{part}") for o in _objects(e))}),
        ({"touches": "no_such_table"}, set()),
        ({"sqlstate": "42501"}, {e["execution"] for e in executions if e["decision"] == "deny"}),
        ({"sqlstate": "42p01"}, {key for key, end in endings.items() if end.get("sqlstate") == "42P01"}),
        ({"group": "readers"}, {"s/1"}),
        ({"since": datetime.fromisoformat(half)}, {e["execution"] for e in executions if e["time"] >= half}),
    ]
    for chosen, expected in rows:
        shown = TailFilter(catalog=True, kinds=frozenset({"execution"}), **chosen)
        found = [each for record in written.records for each in shown.take(b"", record)]
        if "group" in chosen:
            shown.note(session)
            found += shown.take(b"", first)
        assert (chosen, {record["execution"] for _, record in found}) == (chosen, expected)


def test_an_execution_waits_for_the_outcome_that_is_searched_for(written: WrittenJournal) -> None:
    execution = next(each for each in written.of("execution") if each["decision"] == "allow")
    failed = {"type": "outcome", "execution": execution["execution"], "sqlstate": "23505"}
    shown = TailFilter(sqlstate="23", catalog=True)
    assert shown.take(b"one", execution) == []
    assert shown.take(b"two", failed) == [(b"one", execution), (b"two", failed)]
    assert shown.take(b"one", execution) == []
    assert shown.take(b"two", {**failed, "sqlstate": "42P01"}) == []


def _objects(execution: dict[str, Any]) -> list[str]:
    return [each for member in ("reads", "writes", "calls") for each in execution.get(member, ())]


def test_who_it_was_is_known_from_the_sessions_start(written: WrittenJournal) -> None:
    session = written.of("session.opened")[0]
    execution = next(each for each in written.of("execution") if each["execution"].startswith(session["session"]))
    shown = TailFilter()
    assert shown.who(execution) == session["identity"]["oid"]
    shown.note(session)
    assert shown.who(execution) == session["identity"]["display"]
