"""What a record has of a statement's text under a policy with `redact`. Pure.

Decides which statements may use a redacted column, and which of their constants and parameters certainly belong to
another one: only those stay. What cannot be read counts against the value: names that were not resolved, a view, a
function or an operator of the database, SQL inside a value. Then the patterns are searched for in what is left.

INVARIANT: all that a record has of the statement is made from the redacted text: the normalised text and the
fingerprint, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.pattern import Patterns
from pgjit.policy.redaction import Redaction
from pgjit.sql.catalog import Catalog, QName
from pgjit.sql.parse import TextToken, certain_values_of, tokens_of
from pgjit.sql.referenced import ReferencedFunction, ReferencedObjects, ReferencedOperator
from pgjit.sql.statement import RedactedText, Statement, StatementSummary
from pgjit.sql.summary import summary_of

__all__ = ["HIDDEN_TEXT", "MOST_VALUES", "redacted_summary", "search_text"]

MOST_VALUES = 100
"""How many values of one text have a number and a commitment. Those after them are `[redacted]`."""

HIDDEN_TEXT = "-- redacted: its values cannot be told from its words"
"""In place of a text that cannot be split into tokens."""

_READ_WHOLE = frozenset({
    "select", "insert", "update", "delete", "merge", "copy-in", "copy-out", "explain", "prepare", "declare",
    "close", "deallocate", "discard", "set", "show", "transaction",
})  # fmt: skip
"""Kinds whose values go nowhere but to the relations that they name. Where a value of another kind goes is not known:
of DO, CALL, EXECUTE, NOTIFY, the body of a function."""

_SAMPLES = frozenset(
    """
    pg_attribute pg_constraint pg_cursors pg_largeobject pg_prepared_statements pg_replication_slots pg_stat_activity
    pg_statistic pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs
    """.split()
)
"""Relations of pg_catalog that hold values of columns, or texts of statements."""

_NUMBERS = ("ICONST", "FCONST")
_PLAIN_NUMBER = frozenset("0123456789.")
_TABLES = ("r", "p", "f")


class _Use(NamedTuple):
    """What a statement has to do with redacted columns."""

    touches: bool
    open_columns: frozenset[str] = frozenset()  # names of columns whose values certainly are not redacted
    open_origins: frozenset[tuple[int, int]] = frozenset()  # those of its tables that are not redacted


def redacted_summary(
    statement: Statement,
    referenced: ReferencedObjects | None,
    redaction: Redaction,
    catalog: Catalog | None,
    *,
    masks: bool = False,
) -> StatementSummary:
    """As `summary_of`, from the redacted text. `masks`: a record has no values."""
    use = _use(statement, referenced, redaction.columns, catalog)
    redacted = _redact_text(statement.text, redaction, use.open_columns if use.touches else None)
    summary = summary_of(replace(statement, text=redacted.text), referenced, masks=masks)
    if redacted.text == HIDDEN_TEXT:
        summary.normalised = summary.fingerprint = summary.masked = None
    for name in ("reads", "writes", "calls"):
        setattr(summary, name, _search_patterns(getattr(summary, name), redaction))
    summary.redacted = replace(redacted, open_origins=use.open_origins)
    return summary


def _search_patterns(names: Iterable[str], redaction: Redaction) -> tuple[str, ...]:
    """The names, with `[redacted]` for each that a pattern matches in."""
    return tuple("[redacted]" if redaction.is_in(each) else each for each in names)


def search_text(text: str, redaction: Redaction) -> tuple[str, tuple[bytes, ...]]:
    """A text that is no statement, with `[redacted 1]` and so on for what the patterns match; and these values."""
    return _written(text, _joined(list(_matches(text, redaction, [])))) if redaction.patterns else (text, ())


def _redact_text(text: str, redaction: Redaction, open_columns: frozenset[str] | None) -> RedactedText:
    """`open_columns`: None if the text has no value of a redacted column; else those whose values stay."""
    tokens = tokens_of(text)
    if tokens is None:
        return RedactedText(HIDDEN_TEXT, (text.encode("utf-8", "backslashreplace"),), touches=True)
    hidden: list[_Piece] = []
    parameters: frozenset[int] = frozenset()
    if open_columns is not None:
        certain = certain_values_of(text, open_columns)
        parameters = certain.parameters
        hidden += [_Piece.of(each) for each in tokens if each.start not in certain.constants]
    if redaction.patterns:
        hidden += [_Piece.of(each) for each in tokens if _has_escapes(each, text)]
        hidden += _matches(text, redaction, [each for each in tokens if each.name in _NUMBERS])
    written, values = _written(text, _joined(hidden))
    return RedactedText(written, values, touches=open_columns is not None, open_parameters=parameters)


class _Piece(NamedTuple):
    start: int
    end: int
    whole: bool = False  # a whole constant: its place takes a constant
    comment: bool = False

    @classmethod
    def of(cls, token: TextToken) -> _Piece:
        return cls(token.start, token.end, not token.is_comment, token.is_comment)


def _matches(text: str, redaction: Redaction, numbers: list[TextToken]) -> Iterator[_Piece]:
    """Where a pattern matches; a number in which one does is left out whole."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        yield _Piece(0, len(text))
        return
    starts = [each.start for each in numbers]
    at = before = 0  # the same place in characters and in bytes
    for first, last in redaction.matches(data):
        start = at + len(data[before:first].decode(errors="replace"))
        end = start + len(data[first:last].decode(errors="replace"))
        at, before = end, last
        number = numbers[index] if (index := bisect_right(starts, start) - 1) >= 0 else None
        if number is not None and end <= number.end:
            yield _Piece(number.start, number.end, whole=True)
        else:
            yield _Piece(start, end)


def _has_escapes(token: TextToken, text: str) -> bool:
    """A constant whose value is not what is written: a pattern would not find it."""
    if token.is_comment:
        return False
    written = text[token.start : token.end]
    if token.name in _NUMBERS:
        return not _PLAIN_NUMBER.issuperset(written)  # `4_000`, `0xFA0`, `4e3`
    if token.name != "SCONST":
        return True
    if written[0] in "eE":
        return "\\" in written or "'" in written[2:-1]
    return written[0] == "'" and "'" in written[1:-1]  # doubled quotes, or continued on the next line


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """In order; those that overlap are one."""
    joined: list[_Piece] = []
    for piece in sorted(pieces, key=lambda each: (each.start, -each.end)):
        if joined and piece.start < joined[-1].end:
            last = joined[-1]
            if piece.end > last.end:
                joined[-1] = _Piece(last.start, piece.end)
        else:
            joined.append(piece)
    return joined


def _written(text: str, pieces: list[_Piece]) -> tuple[str, tuple[bytes, ...]]:
    if not pieces:
        return text, ()
    parts: list[str] = []
    values: list[bytes] = []
    at = 0
    for piece in pieces:
        parts.append(text[at : piece.start])
        at = piece.end
        if piece.comment:
            parts.append(" ")
            continue
        shown = "[redacted]"
        if len(values) < MOST_VALUES:
            values.append(_value(text[piece.start : piece.end]).encode("utf-8", "backslashreplace"))
            shown = f"[redacted {len(values)}]"
        parts.append(f"'{shown}'" if piece.whole else shown)
    return "".join([*parts, text[at:]]).strip(), tuple(values)


def _value(written: str) -> str:
    """What a constant in quotes stands for; anything else, and one with escapes, as it is written."""
    if len(written) > 1 and written[0] == written[-1] == "'" and "\n" not in written:
        return written[1:-1].replace("''", "'")
    return written


def _use(
    statement: Statement, referenced: ReferencedObjects | None, columns: Patterns | None, catalog: Catalog | None
) -> _Use:
    if columns is None:
        return _Use(touches=False)
    if catalog is None or referenced is None or referenced.faults:
        return _Use(touches=True)
    if not _READ_WHOLE.issuperset((statement.kind, *statement.inner)):
        return _Use(touches=True)
    if any(map(_is_unread_function, referenced.functions)) or any(map(_is_unread_operator, referenced.operators)):
        return _Use(touches=True)
    redacted, open_, origins = set[str](), set[str](), set[tuple[int, int]]()
    through_others = False
    for name, kind in dict.fromkeys(
        (QName(each.schema or "", each.name), each.kind) for each in referenced.relations
    ):
        relation = catalog.relation(name)
        if relation is None or (name.schema == "pg_catalog" and name.name in _SAMPLES):
            return _Use(touches=True)
        mine = _redacted_names(catalog, name, columns)
        redacted |= mine
        open_ |= {column.name for column in relation.columns}
        if relation.oid and kind in _TABLES:
            numbered = zip(relation.columns, relation.numbers, strict=False)
            origins |= {(relation.oid, number) for column, number in numbered if column.name not in mine}
        through_others = through_others or kind not in _TABLES
    if not redacted:
        return _Use(touches=False)
    names = frozenset() if through_others else frozenset(open_ - redacted)
    return _Use(touches=True, open_columns=names, open_origins=frozenset(origins))


def _redacted_names(catalog: Catalog, name: QName, columns: Patterns) -> set[str]:
    """The columns of a relation that are redacted, and those that are generated from one."""
    relation = catalog.relation(name)
    assert relation is not None
    found = {each.name for each in relation.columns if columns.match((*name, each.name), lenient=True)}
    derived = catalog.derived.get(name, {})
    return found | {column for column, sources in derived.items() if not sources.isdisjoint(found)}


def _is_unread_function(function: ReferencedFunction) -> bool:
    """Whether it may read a column that the statement does not name."""
    if function.builtin:
        return function.name not in BUILTIN_FUNCTIONS
    return function.extension is None or not function.computes


def _is_unread_operator(operator: ReferencedOperator) -> bool:
    return not operator.builtin and operator.extension is None
