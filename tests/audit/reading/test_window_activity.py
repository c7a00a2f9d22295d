"""What ran in some windows counts what a look at the records counts."""

from __future__ import annotations

from collections import Counter

from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.window_activity import window_activity
from tests.audit.reading.conftest import WrittenJournal


def test_the_figures_are_those_of_the_records(written: WrittenJournal, reader: Reader) -> None:
    busy = Counter(each["window"] for each in written.of("execution")).most_common(2)
    names = [name for name, _ in busy] + ["w_none"]
    outcomes = {each["execution"]: each for each in written.of("outcome")}
    found = window_activity(reader, names)
    assert [each["window"] for each in found] == names
    for name, shown in zip(names, found, strict=True):
        ran = [e for e in written.of("execution") if e["window"] == name and e.get("about") != "catalog"]
        ended = [outcomes[each["execution"]] for each in ran if each["execution"] in outcomes]
        assert shown["executions"] == len(ran)
        assert shown["refused"] == sum(each["decision"] == "deny" for each in ran)
        assert shown["failed"] == sum(each["ended"] == "failed" for each in ended)
        assert shown["rows"] == sum(each["rows"] for each in ended)
        reads = Counter(name for each in ran if each["decision"] == "allow" for name in each.get("reads", ()))
        assert shown["reads"] == dict(reads)
        assert shown["objects_more"] is False
    assert (found[-1]["executions"], found[-1]["longest_us"], found[-1]["reads"]) == (0, None, {})


def test_no_window_is_no_question(reader: Reader) -> None:
    assert window_activity(reader, []) == []
