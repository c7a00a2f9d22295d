"""What a policy allows, as values and as lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.allowed import AllowedLine, AllowedRelations, allowed_by, lines_of, words_for
from pgjit.policy.load import load_policies
from pgjit.policy.policy import Policy

HEAD = """policy: p
connection: c
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
"""


def _policy(folder: Path, text: str, head: str = HEAD) -> Policy:
    (folder / "p.yaml").write_text(head + text)
    policies, faults = load_policies(folder)
    assert faults == []
    return policies["p"]


def test_a_preset_allows_its_kinds_on_every_relation(tmp_path: Path) -> None:
    found = allowed_by(_policy(tmp_path, "statements: {access: read-only}\n"))
    assert "select" in found.kinds
    assert not {"insert", "delete", "create-table"} & set(found.kinds)
    assert found.relations == (AllowedRelations(("select",), None),)
    assert [line.topic for line in lines_of(found)] == ["statements", "relations"]
    assert lines_of(found)[1] == AllowedLine("relations", "all")


def test_relations_stand_with_the_kinds_that_may_use_them(tmp_path: Path) -> None:
    policy = _policy(
        tmp_path,
        """statements:
  access: read-write
  allow:
    - {kinds: [insert, update], relations: [public.orders, "!public.orders_old"]}
    - {kinds: [create-index], schemas: [app]}
    - {functions: [app.f]}
  deny:
    - {columns: [customers.email]}
    - {kinds: [update], relations: [public.orders]}
    - {kinds: [copy-out]}
limits: {rows: 1000, statement_time: 90s}
""",
    )
    found = allowed_by(policy)
    assert found.relations == (
        AllowedRelations(("select",), None),
        AllowedRelations(("insert", "update"), ("public.orders", "!public.orders_old")),
        AllowedRelations(("create-index",), ("app.*",)),
    )
    # No entry lets a row be deleted or copied in, and `copy-out` is denied.
    assert not {"delete", "copy-in", "copy-out"} & set(found.kinds)
    assert {"merge", "create-index"} <= set(found.kinds)
    assert found.denied_names("columns") == ("customers.email",)
    texts = [f"{topic}: {text}" for topic, text in lines_of(found)]
    assert texts[1:] == [
        "relations: select: all that are not denied",
        "relations: insert, update: public.orders, !public.orders_old",
        "relations: create-index: app.*",
        "functions: app.f",
        "statements denied: copy-out",
        "columns denied: customers.email",
        "relations denied: update: public.orders",
        "limits: rows 1000, statement_time 90s",
    ]


def test_under_full_everything_is_allowed(tmp_path: Path) -> None:
    found = allowed_by(_policy(tmp_path, "statements: {access: full}\n"))
    assert lines_of(found) == (
        AllowedLine("statements", "all"),
        AllowedLine("relations", "all that the login role may use"),
    )


def test_the_terms_of_a_window_name_the_reviewers(tmp_path: Path) -> None:
    head = HEAD.replace("on-request", "review").replace("ttl: 30m", "ttl: 90m")
    policy = _policy(
        tmp_path,
        """statements: {access: read-only}
review: {groups: [{id: 22222222-2222-4222-8222-222222222222, name: dba}], roles: [Approver], approvals: 2}
schedule: ["Tue 06:00-09:00 Europe/Berlin"]
max_per_day: 4
reason: required
""",
        head,
    )
    assert [tuple(line) for line in allowed_by(policy).window] == [
        ("grant", "review"),
        ("ttl", "90m"),
        ("cooldown", "90m"),
        ("review", "dba, role Approver"),
        ("approvals", "2"),
        ("lapse_after", "1h"),
        ("open_within", "15m"),
        ("schedule", "Tue 06:00-09:00 Europe/Berlin"),
        ("max_per_day", "4"),
        ("reason", "required"),
    ]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("fetch", "declare", "close", "select"), ("select", "cursor")),
        (("fetch", "declare"), ("declare", "fetch")),
        (("create-view", "alter-view", "drop-view", "update", "insert"), ("insert", "update", "ddl-view")),
    ],
)
def test_kinds_are_written_in_the_fewest_words(kinds: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert words_for(kinds) == words
