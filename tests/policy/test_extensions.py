"""`extensions` under `allow`: what an extension is known to do is opened, and nothing else of that name."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.judging.dry_run import explain_judgement
from pgjit.judging.judge import Judgement, assess
from pgjit.policy.candidates import extension_notes
from pgjit.policy.extensions import extension_of, is_current, known_extensions
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Cast, Catalog, Function, Operator, QName, Type
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import policy_of, terms


def _of(extension: str | None, *arguments: str, computes: bool = True, volatility: str = "i") -> Function:
    return Function(
        arguments=arguments,
        returns="text",
        volatility=volatility,
        language="c",
        extension=extension,
        computes=computes,
    )


GEOMETRY = "public.geometry"
FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "similarity": (_of("pg_trgm", "text", "text"),),
    "set_limit": (_of("pg_trgm", "real", computes=False, volatility="v"),),
    "mine": (_of(None, "text"),),
    "word": (_of("pg_trgm", "text"), _of(None, "integer")),
    "populate_record": (_of("hstore", "anyelement", "public.hstore"),),
    "akeys": (_of("hstore", "public.hstore"),),
    "st_transform": (_of("postgis", GEOMETRY, "integer"), _of("postgis", GEOMETRY, "text")),
    "st_astext": (_of("postgis", GEOMETRY),),
    "strange": (_of("strange", "text"),),
    "number": (_of("strange", "integer"),),
    "crosstab": (_of("tablefunc", "text", volatility="s"),),
    "normal_rand": (_of("tablefunc", "integer", computes=False, volatility="v"),),
    "new_one": (_of("pg_trgm", "text", computes=False, volatility="v"),),
}
OPERATORS = {
    "<%": (Operator("text", "text", QName("public", "word"), "boolean", "pg_trgm"),),
    "#=": (Operator("anyelement", "public.hstore", QName("public", "populate_record"), "anyelement", "hstore"),),
    "<->": (
        Operator("text", "text", QName("public", "d"), "real", "pg_trgm"),
        Operator("text", "text", QName("public", "mine"), "real"),
    ),
    "<=>": (Operator("text", "text", QName("public", "mine"), "real"),),
    "===": (Operator("text", "text", QName("public", "strange"), "real", "strange"),),
}
TYPES = {
    "hstore": Type("b", oids=(90001, 90002), extension="hstore"),
    "geometry": Type("b", oids=(90003, 90004), extension="postgis"),
    "strange": Type("b", oids=(90005, 90006), extension="strange"),
    "own": Type("b"),
}
VERSIONS = {"pg_trgm": "1.6", "hstore": "1.8", "postgis": "3.3.2", "strange": "1.0", "tablefunc": "1.0"}
KNOWN = dataclasses.replace(
    SHOP,
    functions={**SHOP.functions, "public": FUNCTIONS},
    operators={**SHOP.operators, "public": OPERATORS},
    types={**SHOP.types, "public": {**SHOP.types["public"], **TYPES}},
    extensions=VERSIONS,
)


def _policy(*extensions: str) -> Policy:
    allow = [{"extensions": list(extensions)}] if extensions else []
    return dataclasses.replace(policy_of(), statements=terms(allow=allow))


def _judged(sql: str, *extensions: str, catalog: Catalog = KNOWN) -> Judgement:
    return assess(_policy(*extensions), sql.encode(), 10_000, catalog)


OPENED = [
    ("SELECT similarity('a', 'b')", "pg_trgm"),
    ("SELECT public.similarity(name, 'b') FROM customers", "pg_trgm"),
    ("SELECT 'a' <% 'b', 'a' OPERATOR(public.<%) 'b'", "pg_trgm"),
    ("SELECT akeys('a=>1'::hstore), akeys('a=>1'::public.hstore), hstore 'a=>1'", "hstore"),
    ("SELECT st_transform(null::geometry, 4326), st_astext('POINT(0 0)')", "postgis"),
    ("SELECT st_transform(null::geometry, id::int) FROM customers", "postgis"),
    ("SELECT normal_rand(1)", "tablefunc"),
]


@pytest.mark.parametrize(("sql", "extension"), OPENED)
def test_what_computes_or_reads_runs_where_the_policy_names_the_extension(sql: str, extension: str) -> None:
    assert _judged(sql, extension).allowed
    refused = _judged(sql).violations
    assert refused
    assert f"extensions: [{extension}]" in str(refused[0].hint)
    assert not _judged(sql, "citext").allowed


CLOSED = [
    ("SELECT set_limit(0.1)", "pg_trgm", "changes a setting of the session"),
    ("SELECT new_one('x')", "pg_trgm", "may do more than compute or read"),
    ("SELECT populate_record(null::own, 'a=>1')", "hstore", "runs the checks"),
    ("SELECT st_transform(null::geometry, '+init=/etc/passwd')", "postgis", "opens files"),
    ("SELECT st_transform(null::geometry, $1)", "postgis", "opens files"),
    ("SELECT st_transform(null::geometry, name) FROM customers", "postgis", "opens files"),
    ("SELECT crosstab('SELECT 1')", "tablefunc", "run SQL"),
]


@pytest.mark.parametrize(("sql", "extension", "reason"), CLOSED)
def test_what_does_more_stays_closed_and_says_why(sql: str, extension: str, reason: str) -> None:
    assert any(reason in str(found.detail) for found in _judged(sql, extension).violations)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT mine('x')",  # of the database's own
        "SELECT word(1)",  # an overload of its own beside one of the extension
        "SELECT 'a' <=> 'b'",
        "SELECT 'a' <-> 'b'::text",  # of the extension, and one of its own
        "SELECT 'a' #= 'b=>1'::hstore",
        "SELECT 'x'::own",
        "SELECT strange('x'), 'a' === 'b', 'x'::strange",  # of an extension that is not on the list
    ],
)
def test_nothing_else_is_opened(sql: str) -> None:
    assert not _judged(sql, *VERSIONS).allowed


def test_a_version_that_was_not_looked_through_opens_nothing() -> None:
    newer = dataclasses.replace(KNOWN, extensions={**VERSIONS, "pg_trgm": "1.7", "postgis": "3.3.9"})
    (found,) = _judged("SELECT similarity('a', 'b')", "pg_trgm", catalog=newer).violations
    assert found.detail == (
        "It belongs to extension `pg_trgm`, and stays closed: version 1.7 was not looked through; 1.6 was."
    )
    assert _judged("SELECT st_astext(null)", "postgis", catalog=newer).allowed
    assert not _judged(
        "SELECT similarity('a', 'b')", "pg_trgm", catalog=dataclasses.replace(KNOWN, extensions={})
    ).allowed


@pytest.mark.parametrize(
    ("checked", "version", "current"),
    [("1.6", "1.6", True), ("1.6", "1.10", False), ("1.10", "1.9", True), ("3.3", "3.3.2", True),
     ("3.3", "3.4.0", False), ("7", "7.5", True), ("1.6", "unpackaged", False), ("1.6", None, False)],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(checked: str, version: str | None, current: bool) -> None:
    known = extension_of("pg_trgm")
    assert known is not None
    assert is_current(dataclasses.replace(known, checked=checked), version) is current


def test_parameters_may_have_the_types_of_what_is_opened() -> None:
    assert _judged("SELECT akeys($1)", "hstore").parameter_types == {90001, 90002}
    assert _judged("SELECT 1", "strange", "postgis").parameter_types == {90003, 90004}
    assert _judged("SELECT 1").parameter_types == frozenset()


@pytest.mark.parametrize(
    ("source", "function", "kept"),
    [
        ("hstore", "mine", False),  # `$1 + 1` would call it, with no word of it in the statement
        ("_hstore", "mine", False),
        ("hstore", "strange", False),  # of an extension that the policy does not open
        ("hstore", "gone", False),
        ("hstore", "akeys", True),
        ("hstore", None, True),
        ("geometry", "mine", True),
    ],
)
def test_a_type_that_a_function_of_somebody_else_casts_is_no_parameters(
    source: str, function: str | None, kept: bool
) -> None:
    called = None if function is None else QName("public", function)
    cast = Cast(QName("pg_catalog", "int4"), QName("public", source), called, "i")
    judged = _judged("SELECT akeys($1)", "hstore", catalog=dataclasses.replace(KNOWN, casts=(cast,)))
    assert judged.parameter_types == ({90001, 90002} if kept else frozenset())


def test_an_entry_for_some_kinds_opens_them_for_those_alone() -> None:
    allow = [{"kinds": ["select"], "extensions": ["pg_trgm"]}]
    policy = dataclasses.replace(policy_of(), statements=terms(access="read-write", allow=allow))

    def allowed(sql: str) -> bool:
        return assess(policy, sql.encode(), 10_000, KNOWN).allowed

    assert allowed("SELECT similarity('a', 'b')")
    assert not allowed("INSERT INTO notes (note) VALUES (similarity('a', 'b'))")


def test_an_explanation_gives_the_line_that_opens_it() -> None:
    policy = _policy("pg_trgm")
    allow = tuple(dataclasses.replace(entry, place="p.yaml:9:5") for entry in policy.statements.allow)
    policy = dataclasses.replace(policy, statements=dataclasses.replace(policy.statements, allow=allow))
    passages = Passages()
    judgement = assess(policy, b"SELECT similarity('a', 'b'), 'a' <% 'b'", 10_000, KNOWN, passages=passages)
    ((*grounds,),) = explain_judgement(policy, judgement, KNOWN, passages)
    assert {(ground.sort, ground.name, ground.place) for ground in grounds if ground.sort != "kind"} == {
        ("function", "public.similarity", "p.yaml:9:5"),
        ("operator", "public.<%", "p.yaml:9:5"),
    }


def test_deny_is_stronger() -> None:
    section = {"allow": [{"extensions": ["pg_trgm"]}], "deny": [{"functions": ["public.similarity"]}]}
    policy = dataclasses.replace(policy_of(), statements=terms(**section))
    found = assess(policy, b"SELECT similarity('a', 'b')", 10_000, KNOWN).violations
    assert [each.rule for each in found] == ["denied", "denied"]


def test_notes_name_what_opens_less_than_it_seems_and_propose_functions() -> None:
    policy = _policy("pg_trgm", "strange", "tablefun", "pgstattuple", "postgis")
    catalog = dataclasses.replace(KNOWN, extensions={**VERSIONS, "pgstattuple": "1.5", "postgis": "4.0"})
    notes = [note.partition(": ")[2] for note in extension_notes(policy, catalog)]
    assert notes[0] == (
        "`extensions` names `pgstattuple`, of which nothing is opened: its functions read whole tables that are named"
        " by a value"
    )
    assert notes[1] == (
        "`extensions` names `postgis` 4.0, which opens nothing: 3.3 was looked through. Its functions that by the "
        "catalog only compute or read: `public.st_astext`. Those written in C that take text, which they might "
        "run or open: `public.st_transform`. Review them, and name them under `functions`."
    )
    assert notes[2] == (
        "`extensions` names `strange`, which pgjit does not know: it opens nothing. Its functions that by the "
        "catalog only compute or read: `public.number`. Those written in C that take text, which they might run "
        "or open: `public.strange`. Review them, and name them under `functions`."
    )
    assert notes[3:] == ["`extensions` names `tablefun`, which the server does not have; did you mean `tablefunc`?"]


def test_each_extension_on_the_list_says_what_it_leaves_out_and_why() -> None:
    for extension in known_extensions().values():
        assert extension.checked
        assert bool(extension.why) is (extension.only is not None)
        assert all(extension.left.values())
