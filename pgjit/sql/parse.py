"""Parses SQL with PostgreSQL's own parser (pglast) and collects the facts about each statement.

INVARIANT: only this file imports pglast. It calls `parse_sql_json` first: on a deeply nested statement that fails
cleanly, where pglast's Python tree would end the process. The walk over the tree is iterative for the same reason.
Only a text that was parsed so is given to another function of pglast.
Decides nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import orjson
from pglast.parser import ParseError, fingerprint, normalize, parse_sql_json, scan

from pgjit.errors import StatementRefused
from pgjit.sql.clauses import clauses_of
from pgjit.sql.constants import TextShape
from pgjit.sql.encodings import beyond_ascii
from pgjit.sql.guards.check_text import check_text, check_tree_size, not_unicode, too_deep
from pgjit.sql.kind import kind_of
from pgjit.sql.name_effects import ScannedToken, StatementText, effect_of
from pgjit.sql.scopes.expressions import Values
from pgjit.sql.scopes.query_levels import read_scopes
from pgjit.sql.scopes.statement_values import read_values
from pgjit.sql.shape.measure import measure
from pgjit.sql.shown_settings import shown_settings
from pgjit.sql.statement import Message, Statement
from pgjit.sql.value_columns import CertainValues, certain_values
from pgjit.sql.walk import Walk
from pgjit.sql.withheld import WITHHELD_TEXT, ConstantRead
from pgjit.sql.withholding import withhold

__all__ = [
    "TextToken",
    "certain_values_of",
    "fingerprint_without_values",
    "read_message",
    "read_values_of",
    "signature_of",
    "tokens_of",
    "without_values",
]

_NEGATIVE = "ASCII_45"
_BLANKS = {"SCONST": "''", "USCONST": "U&''", "BCONST": "B''", "XCONST": "X''", "ICONST": "1", "FCONST": "1.0"}
_CONSTANTS = frozenset(_BLANKS)
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_WIDE_TAG = re.compile(r"\$[A-Za-z0-9_]*[^\x00-\x7f][A-Za-z0-9_\x80-\U0010ffff]*\$")
"""What may be the quote `$é$`. With another character in place of the `é`, its constant could end too early."""
_INDEX = re.compile(r",? at index \d+\Z")
_REMEMBERED = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"})
"""Statements that may be remembered by their shape: they change no name, and no setting but by a function."""
_MOST_REMEMBERED = 512 * 1024
"""Bytes of the parser's output: for a text of the same shape it stays below the limit of `check_tree_size`."""
_OWN_SETTING = re.compile(r"\bshow\s+pgjit\s*\.", re.IGNORECASE)
_HINT = "The grammar is PostgreSQL's own, of version 18."
_OWN_HINT = "pgjit answers `SHOW pgjit.window` and the like only when each is sent as a message of its own."


def read_message(text: str, *, most: int | None = None, shape: TextShape | None = None) -> Message:
    """The statements of `text`, at most `most`, and the facts about each.

    With its `shape`: the constants are withheld, and so are the texts of the statements. Then it raises ConstantRead
    if the facts depend on them, or if it is no message of a kind that may be remembered by its shape.

    Raises StatementRefused: 42601 for a syntax error, 54001 for nesting that is too deep, 54000 for too many
    statements or a tree that is too large, 22021 for characters that no statement can hold.
    """
    check_text(text)
    try:
        output = parse_sql_json(text)
        check_tree_size(len(output), len(text))
        tree = orjson.loads(output)
    except ParseError as fault:
        raise _unparseable(text, fault) from None
    except UnicodeEncodeError:
        raise not_unicode() from None
    except orjson.JSONDecodeError:  # orjson's limit of depth is fixed; json's would depend on the stack
        raise too_deep() from None
    where = _positions(text)
    tokens = cache(lambda: scan(text))
    statements = tree.get("stmts", [])
    if most is not None and len(statements) > most:
        raise StatementRefused(
            f"message holds {len(statements)} statements, which is too many", reference="too-many-statements",
            sqlstate="54000", detail=f"At most {most} are judged at once.", hint="Send them in several messages.",
        )  # fmt: skip
    read = None if shape is None else _withhold(tree, shape, len(output))
    facts = tuple(_statement(index, raw, text, where, tokens) for index, raw in enumerate(statements))
    if read is None:
        return Message(facts)
    texts = tuple(each.text for each in facts)
    for each in facts:
        if each.settings or each.shown_settings or each.effect is not None:
            raise ConstantRead  # these facts hold constants
        each.text = WITHHELD_TEXT
    return Message(facts, read, texts)


def _withhold(tree: Any, shape: TextShape, size: int) -> tuple[int, ...]:
    """Raises ConstantRead. `size`: how many bytes the parser's output has."""
    statements = tree.get("stmts", [])
    if len(statements) != 1 or size > _MOST_REMEMBERED or not _REMEMBERED.issuperset(statements[0]["stmt"]):
        raise ConstantRead
    return withhold(tree, shape)


def read_values_of(statement: Statement) -> Values:
    """The expressions of a statement, parsed once more: few statements need them, and they take much memory."""
    (raw,) = orjson.loads(parse_sql_json(statement.text))["stmts"]
    return read_values(*next(iter(raw["stmt"].items())))


def signature_of(text: str) -> tuple[str | None, str | None]:
    """The fingerprint of one statement, and its text with `$1` and so on in place of constants.

    `text` is that of a `Statement`, so it was parsed before. Both are None if pglast fails all the same.
    """
    try:
        return fingerprint(text), normalize(text)
    except Exception:  # noqa: BLE001 - for the record only: nothing is decided by them
        return None, None


def fingerprint_without_values(text: str) -> str | None:
    """The fingerprint of a statement with the same constant in place of each; None if that is no statement any more.

    `signature_of` makes the fingerprint of a command such as ALTER ROLE ... PASSWORD from the password, too.
    """
    tokens = tokens_of(text)
    if tokens is None:
        return None
    parts, at = list[str](), 0
    for token in tokens:
        if not token.is_comment:
            parts += [text[at : token.start], _BLANKS[token.name]]
            at = token.end
    return signature_of("".join([*parts, text[at:]]))[0]


class TextToken(NamedTuple):
    """A constant or a comment in a text, from the character `start` to before `end`."""

    name: str  # as PostgreSQL's scanner calls it
    start: int
    end: int

    @property
    def is_comment(self) -> bool:
        return self.name in _COMMENTS


def tokens_of(text: str) -> list[TextToken] | None:
    """The constants and comments in the text of a statement, in order. None if it cannot be split into tokens."""
    tokens = _scanned(text)
    return None if tokens is None else [each for each in tokens if each.name in _CONSTANTS or each.is_comment]


def certain_values_of(text: str, columns: frozenset[str]) -> CertainValues:
    """As `certain_values` for the text of one statement, with the characters at which the constants begin."""
    try:
        tree = orjson.loads(parse_sql_json(text))["stmts"]
        found = certain_values(tree, columns)
    except Exception:  # noqa: BLE001 - then nothing is certain
        return CertainValues()
    where, starts = _positions(text), set[int]()
    written = {where(offset) for offset in found.constants}
    before: TextToken | None = None
    for token in _scanned(text) or ():
        negated = before is not None and before.name == _NEGATIVE and before.start in written  # `-5` begins there
        if token.name in _CONSTANTS and (token.start in written or negated):
            starts.add(token.start)
        before = token
    return CertainValues(frozenset(starts), found.parameters)


def _scanned(text: str) -> list[TextToken] | None:
    if _WIDE_TAG.search(text) is not None:
        return None
    try:
        # One character for one: pglast looks up the places of others, which takes time squared.
        return [TextToken(each.name, each.start, each.end + 1) for each in scan(_NOT_ASCII.sub("x", text))]
    except Exception:  # noqa: BLE001 - a text that was parsed can be scanned, but for a bug
        return None


def without_values(text: str) -> str | None:
    """The text of a statement with `$1` and so on in place of every constant, and without its comments.

    `text` is that of a `Statement`. None if it cannot be split into tokens. Unlike `signature_of` it leaves no
    constant of any command. Numbers begin after the last parameter that the text itself has.
    """
    tokens = _scanned(text)
    if tokens is None:
        return None
    number = max((int(text[each.start + 1 : each.end]) for each in tokens if each.name == "PARAM"), default=0)
    parts, at = [], 0
    for token in tokens:
        if token.name in _CONSTANTS:
            number += 1
            parts += [text[at : token.start], f"${number}"]
        elif token.is_comment:
            parts += [text[at : token.start], " "]
        else:
            continue
        at = token.end
    return "".join([*parts, text[at:]]).strip()


def _unparseable(text: str, fault: ParseError) -> StatementRefused:
    message = str(fault.args[0]) if fault.args else "syntax error"
    if "memory exhausted" in message or "nesting" in message or "too deep" in message or "stack depth" in message:
        return too_deep()
    index = fault.args[1] if len(fault.args) > 1 and isinstance(fault.args[1], int) else None
    return StatementRefused(
        _INDEX.sub("", message),
        reference="syntax-error",
        sqlstate="42601",
        detail="A statement that does not parse cannot be judged, and is not run.",
        hint=_OWN_HINT if _OWN_SETTING.search(text) else _HINT,  # `window` is a reserved word
        position=None if index is None else min(index, len(text)) + 1,
    )


def _positions(text: str) -> Callable[[int], int]:
    """A function from the parser's byte offsets to offsets in characters of `text`, both from 0."""
    if text.isascii():
        return lambda offset: offset
    wide = [(index, len(character.encode()) - 1) for index, character in enumerate(text) if character > "\x7f"]
    extra = list(accumulate((more for _, more in wide), initial=0))
    starts = [index + before for (index, _), before in zip(wide, extra, strict=False)]
    return lambda offset: offset - extra[bisect_left(starts, offset)]


def _statement(
    index: int,
    raw: dict[str, Any],
    text: str,
    where: Callable[[int], int],
    tokens: Callable[[], Sequence[ScannedToken]],
) -> Statement:
    start = where(raw.get("stmt_location", 0))
    length = raw.get("stmt_len", 0)
    end = where(raw.get("stmt_location", 0) + length) if length else len(text)
    own_text = text[start:end]
    begin = start + len(own_text) - len(own_text.lstrip())
    node_type, node = next(iter(raw["stmt"].items()))
    walk = Walk(where)
    walk.over(node_type, node)
    return Statement(
        index=index,
        kind=kind_of(node_type, node),
        text=own_text.strip(),
        position=begin,
        effect=effect_of(node_type, node, own_text, StatementText(text, where, tokens)),
        nodes=frozenset(walk.nodes),
        fields=frozenset(walk.fields),
        inner=tuple(walk.inner),
        functions=walk.names(walk.functions),
        relations=walk.names(walk.relations),
        targets=walk.names(walk.targets),
        types=walk.names(walk.types),
        unread_types=walk.names(walk.unread_types),
        operators=walk.names(walk.operators),
        attributes=tuple(walk.attributes),
        columns=frozenset(walk.columns),
        settings=tuple(sorted(walk.settings, key=lambda setting: setting.position or 0)),
        into="intoClause" in walk.fields or "IntoClause" in walk.nodes,
        locking="lockingClause" in walk.fields or "LockingClause" in walk.nodes,
        options=frozenset(walk.options),
        shown=node.get("name", "") if node_type == "VariableShowStmt" else None,
        shown_settings=shown_settings(node_type, node, where) if _shows(node_type, walk) else (),
        clauses=clauses_of(node_type, node),
        outside=node_type == "CopyStmt" and bool(node.get("is_program") or node.get("filename")),
        beyond_ascii=() if text.isascii() and "&" not in text else beyond_ascii(node),
        shape=measure(node_type, node, where, walk.depth, walk.selects, walk.writes),
        scopes=read_scopes(node_type, node, where),
    )


def _shows(node_type: str, walk: Walk) -> bool:
    return node_type == "VariableShowStmt" or any(parts[-1:] == ("current_setting",) for parts in walk.functions)
