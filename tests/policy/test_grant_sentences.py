"""How a policy grants access, in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.grant_sentences import grant_sentences
from pgjit.policy.load import load_policies

GROUP = "8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20"
HEAD = f"policy: p\nconnection: c\ngroup: {GROUP}\nttl: 30m\nrecord: true\nstatements: {{access: read-only}}\n"
REVIEW = "review: {groups: [{id: 2a7f90c4-63d1-4b8e-9c05-e18d4f6b7a31, name: dba}], roles: [R]"
ALERT = (
    "Connecting is the request: a member of the group is granted it at once, and an alert is raised (break-glass)."
)
LAST = "A window lasts at most 30m from its first session; the next may open 30m after its end."


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("grant: on-request\n", ["Connecting is the request: a member of the group is granted it at once.", LAST]),
        (
            f"grant: review\n{REVIEW}, approvals: 2, one_refusal_ends: false}}\nreason: {{pattern: 'OPS-[0-9]+'}}\n",
            [
                "Connecting makes a request, and a member of the group waits for people to decide on it.",
                "It takes the approval of 2 different people among group dba or role R, within 1h.",
                "2 refusals end the request.",
                "The first session must connect within 15m of the approval.",
                "Nobody decides on their own request, nor on that of an agent that is theirs or acts for them.",
                "A reason must be given, and it or the ticket must match OPS-[0-9]+.",
                LAST,
            ],
        ),
        (
            f'grant: on-request\nbreak-glass: true\n{REVIEW}}}\nmax_per_day: 2\nschedule: ["Tue 06:00-09:00 UTC"]\n',
            [
                ALERT,
                "Within 24h of its end, group dba or role R must sign the window off: not the person who used it.",
                "Windows open, and end, within Tue 06:00-09:00 UTC.",
                "One identity may open at most 2 within 24 hours.",
                LAST,
            ],
        ),
    ],
)  # fmt: skip
def test_the_sentences_say_who_decides_and_when(tmp_path: Path, text: str, sentences: list[str]) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + text)
    policies, faults = load_policies(tmp_path)
    assert faults == []
    assert list(grant_sentences(policies["p"])) == sentences


def test_what_is_recorded_is_said_where_it_is_not_the_usual(tmp_path: Path) -> None:
    text = HEAD.replace(
        "record: true", "record: results\ngrant: on-request\nredact: {columns: a.b, patterns: [x, y]}"
    )
    (tmp_path / "p.yaml").write_text(text, "utf-8")
    policies, faults = load_policies(tmp_path)
    assert faults == []
    assert list(grant_sentences(policies["p"]))[1:-1] == [
        "Up to 1000 rows and 262144 bytes of each result are kept.",
        "Records leave out values of a.b and what 2 patterns match.",
    ]
    (tmp_path / "p.yaml").write_text(HEAD.replace("record: true", "record: statements\ngrant: on-request"), "utf-8")
    assert (
        list(grant_sentences(load_policies(tmp_path)[0]["p"]))[1] == "Statements are recorded without their values."
    )
