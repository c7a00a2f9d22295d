"""The keys of a policy file about how access is granted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.document import Document
from pgjit.policy.grant_terms import Grant
from pgjit.policy.load import read_policy
from pgjit.policy.policy import Policy

GROUP = "8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20"
HEAD = f"policy: p\nconnection: c\ngroup: {GROUP}\nttl: 30m\nrecord: true\nstatements: {{access: read-only}}\n"
REVIEW = f"review: {{groups: [{{id: {GROUP}, name: dba}}], approvals: 2, cap_at_least: 5m}}\n"


def read(folder: Path, text: str) -> tuple[Policy | None, list[str]]:
    path = folder / "p.yaml"
    path.write_text(HEAD + text)
    document = Document.read(path)
    return read_policy(document), document.faults


def test_every_term_is_read(tmp_path: Path) -> None:
    text = (
        "grant: review\nmax_per_day: 4\nopen_within: 5m\nlapse_after: 2h\nreason: required\n"
        'schedule: ["Tue 06:00-09:00 Europe/Berlin"]\n'
    )
    policy, faults = read(tmp_path, text + REVIEW)
    assert policy is not None, faults
    terms = policy.terms
    assert (policy.grant, terms.max_per_day, terms.reason.required) == (Grant.REVIEW, 4, True)
    assert (terms.open_within, terms.lapse_after) == (timedelta(minutes=5), timedelta(hours=2))
    assert terms.review is not None
    assert terms.schedule is not None
    assert (terms.review.groups, terms.review.group_names, terms.review.approvals) == ((GROUP,), ("dba",), 2)
    assert str(terms.schedule) == "Tue 06:00-09:00 Europe/Berlin"


def test_break_glass_is_signed_off_by_reviewers(tmp_path: Path) -> None:
    policy, faults = read(tmp_path, "grant: on-request\nbreak-glass: true\n" + REVIEW)
    assert policy is not None, faults
    assert policy.terms.break_glass
    assert policy.terms.review is not None


@pytest.mark.parametrize(("ttl", "least"), [("30m", 60), ("60s", 60), ("20s", 20)])
def test_a_reviewer_may_cap_at_a_minute_or_at_the_whole_of_a_shorter_ttl(
    tmp_path: Path, ttl: str, least: int
) -> None:
    for grant in ("review", "on-request\nbreak-glass: true"):
        path = tmp_path / "p.yaml"
        path.write_text(HEAD.replace("30m", ttl) + f"grant: {grant}\nreview: {{groups: [{GROUP}]}}\n")
        document = Document.read(path)
        policy = read_policy(document)
        assert policy is not None, document.faults
        assert policy.terms.review is not None
        assert policy.terms.review.cap_at_least == timedelta(seconds=least)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("grant: review\n", "must have `review`"),
        ("grant: review\nreview: {approvals: 2}\n", "at least one group or role"),
        ("grant: review\nreview: {roles: [r], approvals: 0}\n", "greater than or equal to 1"),
        ("grant: review\nreview: {roles: [r], cap_at_least: 2h}\n", "not longer than the ttl"),
        ("grant: on-request\n" + REVIEW, "nobody would be asked"),
        ("grant: on-request\nbreak-glass: true\n", "reviewers sign it off"),
        ("grant: review\nbreak-glass: true\n" + REVIEW, "reviewers sign it off"),
        ("grant: on-request\nmax_per_day: 0\n", "greater than or equal to 1"),
        ("grant: on-request\nschedule: []\n", "at least 1 entr"),
        ("grant: on-request\nschedule: [Tue 6-9]\n", "must be days, hours and a time zone"),
        ("grant: on-request\nschedule: [Tue 06:00-09:00 Europe/Berlim]\n", "time zone that is not known"),
        ("grant: on-request\nreason: optional\n", "must be `required`"),
        ("grant: on-request\nreason: {pattern: '(a+)+'}\n", "not a group"),
    ],
)
def test_what_does_not_go_together_is_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    policy, faults = read(tmp_path, text)
    assert policy is None
    assert any(fault in each for each in faults), faults
