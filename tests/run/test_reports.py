"""A setup or teardown is sent only if it failed, was skipped, took long or printed something."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.run.reports import Reports, is_worth_sending


def report(
    when: Literal["setup", "call", "teardown"],
    outcome: Literal["passed", "failed", "skipped"] = "passed",
    duration: float = 0.0,
    sections: tuple[tuple[str, str], ...] = (),
) -> pytest.TestReport:
    return pytest.TestReport("a.py::b", ("a.py", 1, "b"), {}, outcome, None, when, sections, duration)


def test_each_test_is_sent_whatever_became_of_it() -> None:
    assert is_worth_sending(report("call"))
    assert is_worth_sending(report("call", "failed"))


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_what_is_around_a_test_is_sent_where_a_person_would_look_at_it(when: Literal["setup", "teardown"]) -> None:
    assert not is_worth_sending(report(when))
    assert is_worth_sending(report(when, "failed"))
    assert is_worth_sending(report(when, "skipped"))
    assert is_worth_sending(report(when, duration=3.0))
    assert is_worth_sending(report(when, sections=(("Captured stdout", "a line"),)))


def test_the_rest_goes_the_way_that_it_always_goes() -> None:
    sent: list[pytest.TestReport] = []

    class Sender:
        pytest_runtest_logreport = staticmethod(sent.append)

    for each in (report("setup"), report("call"), report("teardown", "failed")):
        Reports(Sender()).pytest_runtest_logreport(each)
    assert [each.when for each in sent] == ["call", "teardown"]
