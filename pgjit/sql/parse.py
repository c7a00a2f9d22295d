"""SQL text to facts, by PostgreSQL's own parser: the only importer of pglast.

Only `parse_sql_json` is used: it fails cleanly where the parser's own Python tree would end the process on a
deeply nested statement. The walk over the tree is iterative for the same reason. Decides nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import orjson
from pglast.parser import ParseError, parse_sql_json, scan

from pgjit.errors import StatementRefused
from pgjit.sql.clauses import clauses_of
from pgjit.sql.encodings import beyond_ascii
from pgjit.sql.guards.oversized_tree import has_oversized_tree
from pgjit.sql.guards.quadratic_lexing import lexes_quadratically
from pgjit.sql.kind import kind_of
from pgjit.sql.name_effects import ScannedToken, StatementText, effect_of
from pgjit.sql.scopes.expressions import Values
from pgjit.sql.scopes.query_levels import read_scopes
from pgjit.sql.scopes.statement_values import read_values
from pgjit.sql.shape.measure import measure
from pgjit.sql.shown_settings import shown_settings
from pgjit.sql.statement import Message, Statement
from pgjit.sql.walk import Walk

__all__ = ["read_message", "read_values_of"]

_OUTPUT = 2 * 1024 * 1024
_OUTPUT_RATIO = 128  # no other syntax that is known comes near it
_INDEX = re.compile(r",? at index \d+\Z")
_OWN_SETTING = re.compile(r"\bshow\s+pgjit\s*\.", re.IGNORECASE)
_HINT = "The grammar is PostgreSQL's own, of version 18."
_OWN_HINT = "`SHOW pgjit.window` and its like are answered by pgjit: send each as a message of its own."


def read_message(text: str, *, most: int | None = None) -> Message:
    """The statements of `text`, at most `most`, and the facts about each.

    Raises StatementRefused: 42601 where it does not parse, 54001 where it is nested too deeply to be read,
    54000 for too many statements, and where a tree is many times its size, 22021 for characters that cannot be in a
    statement.
    """
    if "\0" in text:
        raise StatementRefused(
            "statement holds a zero byte", reference="invalid-encoding", sqlstate="22021",
            hint="Leave the zero byte out: PostgreSQL's text ends at it.",
        )  # fmt: skip
    if lexes_quadratically(text):
        raise _too_deep()
    if has_oversized_tree(text):
        raise _too_wide()
    try:
        output = parse_sql_json(text)
        if len(output) > max(_OUTPUT, _OUTPUT_RATIO * len(text)):
            raise _too_wide()
        tree = orjson.loads(output)
    except ParseError as fault:
        raise _unparseable(text, fault) from None
    except UnicodeEncodeError:
        raise StatementRefused(
            "statement is not valid Unicode", reference="invalid-encoding", sqlstate="22021"
        ) from None
    except orjson.JSONDecodeError:  # its fixed limit of depth; unlike json's, the same on any stack
        raise _too_deep() from None
    where = _positions(text)
    tokens = cache(lambda: scan(text))
    statements = tree.get("stmts", [])
    if most is not None and len(statements) > most:
        raise StatementRefused(
            f"message holds {len(statements)} statements, which is too many", reference="too-many-statements",
            sqlstate="54000", detail=f"At most {most} are judged at once.", hint="Send them in several messages.",
        )  # fmt: skip
    return Message(tuple(_statement(index, raw, text, where, tokens) for index, raw in enumerate(statements)))


def read_values_of(statement: Statement) -> Values:
    """The values of a statement that was read before: few are asked for, and they take more room than its facts."""
    (raw,) = orjson.loads(parse_sql_json(statement.text))["stmts"]
    return read_values(*next(iter(raw["stmt"].items())))


def _unparseable(text: str, fault: ParseError) -> StatementRefused:
    message = str(fault.args[0]) if fault.args else "syntax error"
    if "memory exhausted" in message or "nesting" in message or "too deep" in message or "stack depth" in message:
        return _too_deep()
    index = fault.args[1] if len(fault.args) > 1 and isinstance(fault.args[1], int) else None
    return StatementRefused(
        _INDEX.sub("", message),
        reference="syntax-error",
        sqlstate="42601",
        detail="What does not parse cannot be judged, and is not run.",
        hint=_OWN_HINT if _OWN_SETTING.search(text) else _HINT,  # `window` is a reserved word
        position=None if index is None else min(index, len(text)) + 1,
    )


def _too_deep() -> StatementRefused:
    return StatementRefused(
        "statement is nested too deeply to be judged",
        reference="statement-too-deep",
        sqlstate="54001",
        hint="Write long lists as IN (...) or = ANY (array), and split long chains of operators.",
    )


def _too_wide() -> StatementRefused:
    return StatementRefused(
        "statement assigns too many columns from one query or row to be judged",
        reference="statement-too-large",
        sqlstate="54000",
        hint="Write `SET a = 1, b = 2`, or take the values FROM a subquery.",
    )


def _positions(text: str) -> Callable[[int], int]:
    """From a byte offset of the parser's to characters of `text`, both from 0."""
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
    own = text[start:end]
    begin = start + len(own) - len(own.lstrip())
    node_type, node = next(iter(raw["stmt"].items()))
    walk = Walk(where)
    walk.over(node_type, node)
    return Statement(
        index=index,
        kind=kind_of(node_type, node),
        text=own.strip(),
        position=begin,
        effect=effect_of(node_type, node, own, StatementText(text, where, tokens)),
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
        shape=measure(node_type, node, where),
        scopes=read_scopes(node_type, node, where),
    )


def _shows(node_type: str, walk: Walk) -> bool:
    return node_type == "VariableShowStmt" or any(parts[-1:] == ("current_setting",) for parts in walk.functions)
