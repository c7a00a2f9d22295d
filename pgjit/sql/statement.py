"""The facts about a statement: values that the parser's tree is boiled down to.

Everything right of `pgjit.sql` judges these and never sees a syntax tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Message", "NameEffect", "Statement"]


@dataclass(frozen=True, slots=True)
class NameEffect:
    """What a statement does to the session's names of prepared statements and portals.

    PREPARE / EXECUTE / DEALLOCATE speak of statements, DECLARE / FETCH (and MOVE) / CLOSE of portals, in the
    same name spaces as the wire protocol. `name` is None for ALL. DISCARD ALL is `discard`.
    """

    verb: Literal["prepare", "execute", "deallocate", "declare", "fetch", "close", "discard"]
    name: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a message, and what is known of it. Widened by what rules need (see parse.py)."""

    index: int
    kind: str  # `select`, `insert`, `show`, `transaction`, ... in the words that policies use
    text: str  # its own slice of the message, without the semicolon
    position: int  # where that slice begins, in characters of the message from 0
    effect: NameEffect | None


@dataclass(frozen=True, slots=True)
class Message:
    """All statements of one Query or Parse message. Empty for '', ';' or comments only."""

    statements: tuple[Statement, ...]
