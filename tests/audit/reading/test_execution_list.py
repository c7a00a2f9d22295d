"""The list of executions: each filter finds those that a look at the records finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

from pgjit.audit.reading.execution_list import ExecutionFilter, list_executions
from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.values import as_documents
from tests.audit.reading.conftest import WrittenJournal


def seqs(reader: Reader, **chosen: Any) -> list[int]:
    found = list_executions(reader, ExecutionFilter(**{"catalog": True, **chosen}))
    return [row[found.columns.index("seq")] for row in found.rows]


def test_the_newest_comes_first_without_the_chatter_of_drivers(written: WrittenJournal, reader: Reader) -> None:
    asked = [each["seq"] for each in written.of("execution") if each.get("about") != "catalog"]
    assert seqs(reader, catalog=False) == asked[::-1]


def test_each_filter_finds_what_the_records_have(written: WrittenJournal, reader: Reader) -> None:
    executions = written.of("execution")[::-1]
    outcomes = {each["execution"]: each for each in written.of("outcome")}
    some = written.of("session.opened")[1]
    oid, moment = some["identity"]["oid"], executions[100]["time"]

    def objects(each: dict[str, Any]) -> set[str]:
        return {name for part in ("reads", "writes") for name in each.get(part, ())}

    rows: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"identity": some["identity"]["display"].upper()}, lambda each: each["identity"].endswith(oid)),
        ({"identity": oid}, lambda each: each["identity"].endswith(oid)),
        ({"policy": some["policy"]}, lambda each: each["policy"] == some["policy"]),
        ({"window": some["window"]["id"]}, lambda each: each["window"] == some["window"]["id"]),
        ({"session": some["session"]}, lambda each: each["execution"].startswith(some["session"])),
        ({"touches": "orders"}, lambda each: "shop.orders" in objects(each)),
        ({"touches": "shop.customers"}, lambda each: "shop.customers" in objects(each)),
        ({"decision": "deny"}, lambda each: each["decision"] == "deny"),
        ({"rule": "write-scope"}, lambda each: each["decision"] == "deny"),
        ({"kind": "update"}, lambda each: each["kind"] == "update"),
        ({"ended": "failed"}, lambda each: outcomes[each["execution"]]["ended"] == "failed"),
        ({"sqlstate": "42p"}, lambda each: outcomes[each["execution"]].get("sqlstate") == "42P01"),
        ({"sqlstate": "42501"}, lambda each: each["decision"] == "deny"),
        ({"since": datetime.fromisoformat(moment)}, lambda each: each["time"] >= moment),
        ({"until": datetime.fromisoformat(moment)}, lambda each: each["time"] < moment),
        ({"text": "COUNT(*)"}, lambda each: "count(*)" in each["statement"]),
        ({"connection": some["connection"]}, lambda each: each["policy"] == some["policy"]),
        ({"touches": "rders"}, lambda _each: False),
        ({"group": "nobody"}, lambda _each: False),
        ({"after_end": True}, lambda _each: False),
    ]
    for chosen, holds in rows:
        assert (chosen, seqs(reader, **chosen)) == (chosen, [each["seq"] for each in executions if holds(each)])
    tried = {name for chosen, _ in rows for name in chosen}
    assert tried == {each.name for each in fields(ExecutionFilter)} - {"catalog", "before"}


def test_a_list_goes_on_after_its_last_row(reader: Reader) -> None:
    whole = seqs(reader)
    first = list_executions(reader, ExecutionFilter(catalog=True), limit=10)
    last = as_documents(first)[-1]
    assert first.more
    before = datetime.fromisoformat(str(last["time"])), int(str(last["seq"]))
    assert seqs(reader, before=before) == whole[10:]


def test_the_slowest_and_the_largest_come_first(reader: Reader) -> None:
    for order, column in (("duration", "duration_us"), ("rows", "rows"), ("bytes", "bytes")):
        found = list_executions(reader, ExecutionFilter(), order=order, limit=20)  # type: ignore[arg-type]
        figures = [row[found.columns.index(column)] for row in found.rows]
        assert figures == sorted(figures, reverse=True)
