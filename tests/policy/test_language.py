"""The language of policies: every fault at its place, and warnings of what can do nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.policy.decision import Allow, Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.load import load_policies
from pgjit.policy.policy import Limits, Mode, Policy
from pgjit.policy.rules.limit_required import LimitRequiredOptions
from pgjit.sql.parse import read_message
from tests.run.rows import table

BARE = "a bare name may be anybody's"
GLOBS = "with * for any characters"
BUILTIN = "what is built in is allowed by name alone"
HEAD = """\
policy: reader
connection: prod-replica
group: 5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11
grant: on-request
ttl: 30m
record: true
"""


def _load(folder: Path, text: str) -> tuple[Policy | None, list[str], list[str]]:
    path = folder / "reader.yaml"
    path.write_text(HEAD + text, "utf-8")
    policies, faults = load_policies(folder)
    strip = f"{path}:"
    return (
        policies.get("reader"),
        [fault.removeprefix(strip) for fault in faults],
        [warning.replace(strip, "") for warning in policies.warnings],
    )


def test_a_policy_that_says_all_that_can_be_said(tmp_path: Path) -> None:
    policy, faults, warnings = _load(
        tmp_path,
        """\
mode: observe
statements:
  access: read-write
  allow:
    - kinds: [insert, update]
      relations: ["sales.*", "!sales.salaries"]
    - columns: [public.customers.*, "!public.customers.email"]
    - functions: [app.report_*, pg_sleep]
    - types: public.vector
    - operators: [<=>, public.<->]
    - schemas: [reports]
    - settings: [work_mem, app.*]
  deny:
    - kinds: ddl
    - columns: customers.email
    - schemas: secret
  rules:
    where-required: false
    limit-required: {relations: sales.orders, at_most: 50}
    statement-size: {at_most: 1000}
limits:
  rows: 1000
  bytes: 64kB
  window_rows: 5000
  window_bytes: 1GB
  window_statements: 100
  statement_time: 30s
  sessions: 2
  idle_in_transaction: 1m
""",
    )

    assert faults == []
    assert warnings == [
        "20:7: this entry of `deny` can refuse nothing: `access: read-write` allows none of its kinds"
    ]
    assert policy is not None
    assert policy.mode is Mode.OBSERVE
    assert policy.limits == Limits(
        rows=1000, bytes=65536, window_rows=5000, window_bytes=2**30, window_statements=100,
        statement_time=timedelta(seconds=30), sessions=2, idle_in_transaction=timedelta(minutes=1),
    )  # fmt: skip
    terms = policy.statements
    assert terms.longest == timedelta(seconds=30)
    assert terms.place == f"{tmp_path}/reader.yaml:9:3"
    assert [each.place.rpartition("reader.yaml")[2] for each in terms.allow[:2]] == [":11:7", ":13:7"]
    assert terms.allow[0].kinds == frozenset({"insert", "update"})
    assert not terms.switches["where-required"].enabled
    assert terms.options("limit-required", LimitRequiredOptions) == LimitRequiredOptions(
        relations=("sales.orders",), at_most=50
    )


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("5000", True), ("'5s'", True), ("'30s'", True), ("'30000ms'", True), ("' 1 min '", False), ("'31s'", False),
        ("0", False), ("'0'", False), ("-1", False), ("'500us'", False), ("'1h'", False), ("'1d'", False),
        ("5.5", False), ("'5 sec'", False), ("'1e3'", False), ("DEFAULT", True), ("'00005s'", True), ("'x'", False),
    ],
)  # fmt: skip
def test_a_statement_timeout_goes_below_the_limit_and_never_over_it(
    tmp_path: Path, value: str, allowed: bool
) -> None:
    policy, faults, _ = _load(tmp_path, "statements: {}\nlimits: {statement_time: 30s}\n")
    assert policy is not None, faults
    for sql in (f"SET statement_timeout = {value}", f"SET LOCAL statement_timeout TO {value}"):
        assert isinstance(evaluate(policy, read_message(sql)), Allow) == allowed
    assert isinstance(evaluate(policy, read_message("RESET statement_timeout")), Allow)
    assert isinstance(evaluate(policy, read_message("SELECT set_config('statement_timeout', $1, false)")), Deny)


@pytest.mark.parametrize(("value", "allowed"), [("'30min'", True), ("'31min'", False), ("0", False)])
def test_without_a_limit_of_its_time_a_statement_may_have_the_length_of_a_window(
    tmp_path: Path, value: str, allowed: bool
) -> None:
    policy, faults, _ = _load(tmp_path, "statements: {}\n")
    assert policy is not None, faults
    assert isinstance(evaluate(policy, read_message(f"SET statement_timeout = {value}")), Allow) == allowed


def test_a_policy_that_says_little(tmp_path: Path) -> None:
    policy, faults, warnings = _load(tmp_path, "statements: {}\n")

    assert (faults, warnings) == ([], [])
    assert policy is not None
    assert (policy.mode, policy.limits, bool(policy.limits)) == (Mode.ENFORCE, Limits(), False)
    assert not policy.statements.needs_names


@table(
    ("text", "fault"),
    [
        ("mode: look\nstatements: {}", "7:1: `mode` must be 'enforce' or 'observe'"),
        ("statements:\n  allow:\n    - kinds: [selct]",
         "9:7: `statements.allow.0.kinds` `selct` is not a kind of statement; did you mean `select`?"),
        ("statements:\n  allow:\n    - kinds: insert",
         "9:7: `statements.allow.0.kinds` `insert` writes: it needs `access: read-write`"),
        ("statements:\n  allow:\n    - kinds: [select, do]",
         "9:7: `statements.allow.0.kinds` `do` cannot be allowed here: it needs `access: read-write`"),
        ("statements:\n  allow:\n    - kinds: ddl",
         "9:7: `statements.allow.0.kinds` `ddl` cannot be allowed here: it needs `access: read-write`"),
        ("statements:\n  allow:\n    - kinds: alter-system",
         "9:7: `statements.allow.0.kinds` `alter-system` cannot be allowed here: nothing but `access: full` runs it"),
        ("statements:\n  access: read-write\n  allow:\n    - {kinds: create-cast, schemas: [public]}",
         ("10:8: `statements.allow.0.kinds` `create-cast` cannot be allowed for some relations: pgjit does not see "
          "every object that `create-cast` use")),
        ("statements:\n  access: read-write\n  allow:\n    - {kinds: [truncate], columns: [a.b.c]}",
         "10:8: `statements.allow.0.kinds` `truncate` cannot be allowed for some columns: name the relation"),
        ("statements:\n  access: read-write\n  allow:\n    - {kinds: [do], functions: [a.b]}",
         "10:8: `statements.allow.0.kinds` `do` cannot be allowed for some functions: it calls none by name"),
        ("statements:\n  access: read-write\n  allow:\n    - {kinds: [vacuum], settings: [work_mem]}",
         "10:8: `statements.allow.0.kinds` `vacuum` cannot be allowed for some of these: give it its own entry"),
        ("statements:\n  allow:\n    - relation: a.b",
         "9:7: `statements.allow.0.relation` is not a known key; did you mean `relations`?"),
        ("statements:\n  allow:\n    - relations: [orders]",
         f"9:7: `statements.allow.0.relations` `orders` must be written as schema.name: {BARE}"),
        ("statements:\n  allow:\n    - relations: ['*', '!salaries']",
         f"9:7: `statements.allow.0.relations` `!salaries` must be written as schema.name: {BARE}"),
        ("statements:\n  allow:\n    - columns: [customers.email]",
         f"9:7: `statements.allow.0.columns` `customers.email` must be written as schema.relation.column: {BARE}"),
        ("statements:\n  deny:\n    - columns: [email]",
         f"9:7: `statements.deny.0.columns` `email` must be relation.column or schema.relation.column, {GLOBS}"),
        ("statements:\n  deny:\n    - relations: ['!a.b']",
         "9:7: `statements.deny.0.relations` must name something before it leaves something out with `!`"),
        ("statements:\n  deny:\n    - relations: []",
         "9:7: `statements.deny.0.relations` must be a text or a list of texts, and not empty"),
        ("statements:\n  allow:\n    - functions: ['*']",
         f"9:7: `statements.allow.0.functions` `*` must write out its name: {BUILTIN}"),
        ("statements:\n  allow:\n    - functions: ['pg_catalog.*']",
         f"9:7: `statements.allow.0.functions` `pg_catalog.*` must write out its name: {BUILTIN}"),
        ("statements:\n  allow:\n    - functions: ['*.f']",
         "9:7: `statements.allow.0.functions` `*.f` must write out its schema"),
        ("statements:\n  allow:\n    - function: '*'",
         f"9:7: `statements.allow.0.function` `*` must write out its name: {BUILTIN}"),
        ("statements:\n  allow:\n    - relations: a.b\n      functions: a.f",
         "9:7: `statements.allow.0` must name one sort of objects, not functions and relations"),
        ("statements:\n  allow:\n    - operators: [plus]",
         "9:7: `statements.allow.0.operators` must be an operator as statements write it, such as <=> or public.<=>"),
        ("statements:\n  rules:\n    where-require: false",
         "9:5: `statements.rules.where-require` is not a known key; did you mean `where-required`?"),
        ("statements:\n  rules:\n    function-call: false",
         "9:5: `statements.rules.function-call` cannot be switched off: name what is needed under `allow`"),
        ("statements:\n  rules:\n    limit-required: {at_mots: 5}",
         "9:22: `statements.rules.limit-required.at_mots` is not a known key; did you mean `at_most`?"),
        ("statements:\n  rules:\n    limit-required: {at_most: 0}",
         "9:22: `statements.rules.limit-required.at_most` must be greater than or equal to 1"),
        ("statements:\n  rules:\n    limit-required: soon",
         "9:5: `statements.rules.limit-required` must be true, false or a mapping of the rule's options"),
        ("statements:\n  rules:\n    limit-required: {relations: 'a b'}",
         f"9:22: `statements.rules.limit-required.relations` `a b` must be name or schema.name, {GLOBS}"),
        ("statements: {access: full, deny: [{kinds: ddl}]}",
         "7:1: `statements` must not have `deny` beside `access: full`: there is nothing that it refuses"),
        ("statements: {access: full, rules: {ddl: true}}",
         "7:1: `statements` must not have `rules` beside `access: full`: there is nothing that it refuses"),
        ("statements: {}\nlimits: {rows: 0}", "8:10: `limits.rows` must be greater than or equal to 1"),
        ("statements: {}\nlimits: {rows: '5'}", "8:10: `limits.rows` must be a valid integer"),
        ("statements: {}\nlimits: {bytes: 10 MB}",
         "8:10: `limits.bytes` must be a number of bytes, such as 65536, 64kB, 10MB or 1GB"),
        ("statements: {}\nlimits: {bytes: true}",
         "8:10: `limits.bytes` must be a number of bytes, such as 65536, 64kB, 10MB or 1GB"),
        ("statements: {}\nlimits: {statement_time: 30}",
         "8:10: `limits.statement_time` must be a whole number with its unit, such as 90s, 30m or 2h"),
        ("statements: {}\nresults: {rows: 5}", "8:1: `results` needs `record: results`"),
        ("statements: {}\nresults: {bytes: 5MB}",
         "8:11: `results.bytes` must be at most 1MB: a result is held until it is kept"),
        ("statements: {}\nresults: {rows: 0}", "8:11: `results.rows` must be greater than or equal to 1"),
        ("statements: {}\nresults: {row: 5}", "8:11: `results.row` is not a known key; did you mean `rows`?"),
        ("statements: {}\nredact: {}", "8:1: `redact` must have `columns`, `patterns` or both"),
        ("statements: {}\nredact: {columns: [email]}",
         f"8:10: `redact.columns` `email` must be relation.column or schema.relation.column, {GLOBS}"),
        ("statements: {}\nredact: {column: a.b}",
         "8:10: `redact.column` is not a known key; did you mean `columns`?"),
        ("statements: {}\nredact: {patterns: ['(?=x)y']}",
         "8:10: `redact.patterns` `(?=x)y` cannot be read: invalid perl operator: (?= (the syntax is RE2's)"),
        ("statements: {}\nredact: {patterns: ['x*', '']}",
         "8:10: `redact.patterns` must be a text or a list of texts, and not empty"),
        ("statements: {}\nlimits: {row: 5}", "8:10: `limits.row` is not a known key; did you mean `rows`?"),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_place(tmp_path: Path, text: str, fault: str) -> None:
    policy, faults, _ = _load(tmp_path, text + "\n")

    assert policy is None
    assert faults == [fault]


@pytest.mark.parametrize(
    ("statements", "warning"),
    [
        ("deny: [{kinds: [insert, ddl]}]",
         "8:10: this entry of `deny` can refuse nothing: `access: read-only` allows none of its kinds"),
        ("deny: [{relations: 'a.*'}, {relations: a.b}]",
         "8:30: this entry of `deny` can refuse nothing: 8:10 refuses all of it"),
        ("deny: [{kinds: explain}, {kinds: explain-analyze}]",
         "8:28: this entry of `deny` can refuse nothing: 8:10 refuses all of it"),
        ("allow: [{kinds: select}]",
         "8:11: this entry of `allow` can allow nothing: `access: read-only` allows its kinds without it"),
        ("allow: [{relations: [a.b]}, {functions: a.f}]\n  deny: [{relations: a.*}]",
         "8:11: this entry of `allow` can allow nothing: 9:10 refuses all of it"),
        ("allow: [{functions: a.*}, {functions: a.f}]",
         "8:29: this entry of `allow` can allow nothing: 8:11 allows all of it"),
        ("allow: [{operators: [<=>]}]\n  deny: [{operators: [<=>]}]",
         "8:11: this entry of `allow` can allow nothing: 9:10 refuses all of it"),
        ("access: read-write\n  allow: [{kinds: [do, ddl-role, call]}]",
         "9:11: `alter-role`, `create-role`, `do` and others: allowed as a whole, whatever they use or leave behind"),
        ("rules: {sequences: false}",
         "8:11: `sequences` can change nothing: `access: read-only` decides it"),
        ("rules: {limit-required: false}",
         "8:11: `limit-required` is not applied under `access: read-only` anyway"),
    ],
)  # fmt: skip
def test_what_can_do_nothing_is_warned_of(tmp_path: Path, statements: str, warning: str) -> None:
    policy, faults, warnings = _load(tmp_path, f"statements:\n  {statements}\n")

    assert policy is not None
    assert faults == []
    assert warnings == [warning]


@pytest.mark.parametrize(
    "statements",
    [
        "deny: [{relations: a.b}, {relations: a.c}]",
        "deny: [{kinds: explain-analyze}, {kinds: explain}]",
        "deny: [{relations: [a.*, '!a.b']}, {relations: a.b}]",
        "access: read-write\n  allow: [{kinds: insert, relations: a.b}, {kinds: update, relations: a.b}]",
        "allow: [{relations: a.*}]\n  deny: [{relations: a.b}]",
        "access: read-write\n  rules: {sequences: false, where-required: false, locking-clause: true}",
        "rules: {limit-required: true, statement-depth: {at_most: 50}}",
    ],
)
def test_what_can_do_something_is_not(tmp_path: Path, statements: str) -> None:
    policy, faults, warnings = _load(tmp_path, f"statements:\n  {statements}\n")

    assert policy is not None
    assert (faults, warnings) == ([], [])


def test_all_faults_of_an_entry_are_found_at_once(tmp_path: Path) -> None:
    _, faults, _ = _load(
        tmp_path,
        "statements:\n  allow:\n"
        "    - {kinds: [selct, insrt, insert], relations: [orders, 'a b', x.y.z], relation: q}\n"
        "    - {kinds: insert, operators: [plus, minus]}\n"
        "    - {kinds: [do], functions: ['*.f']}\n",
    )
    found = [fault.partition("statements.allow.")[2] for fault in faults]
    assert found == [
        (
            "0.kinds` `selct` is not a kind of statement; did you mean `select`?; "
            "`insrt` is not a kind of statement; did you mean `insert`?"
        ),
        f"0.relations` `a b` must be name or schema.name, {GLOBS}; `x.y.z` must be name or schema.name, {GLOBS}",
        "0.relation` is not a known key; did you mean `relations`?",
        (
            "1.operators` `plus` must be an operator as statements write it, such as <=> or public.<=>; "
            "`minus` must be an operator as statements write it, such as <=> or public.<=>"
        ),
        "1.kinds` `insert` writes: it needs `access: read-write`",
        "2.kinds` `do` cannot be allowed here: it needs `access: read-write`",
        "2.functions` `*.f` must write out its schema",
    ]
