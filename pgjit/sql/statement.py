"""The facts about a statement: values that the parser's tree is boiled down to.

Everything right of `pgjit.sql` judges these and never sees a syntax tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pgjit.sql.scopes.scopes import Scopes
from pgjit.sql.shape.shape import SHAPELESS, Shape

__all__ = ["Argument", "Message", "Name", "NameEffect", "Setting", "ShownSetting", "Statement"]


@dataclass(frozen=True, slots=True)
class Argument:
    """Of an EXECUTE: the value of a constant (None: NULL), or an expression as it is written."""

    text: str | None
    constant: bool = True


@dataclass(frozen=True, slots=True)
class NameEffect:
    """What a statement does to the session's names of prepared statements and portals.

    PREPARE / EXECUTE / DEALLOCATE speak of statements, DECLARE / FETCH (and MOVE) / CLOSE of portals, in the
    same name spaces as the wire protocol. `name` is None for ALL. DISCARD ALL is `discard`; code that may do any of
    these is `anything`.
    """

    verb: Literal["prepare", "execute", "deallocate", "declare", "fetch", "close", "discard", "anything"]
    name: str | None
    arguments: tuple[Argument, ...] = ()  # of EXECUTE
    around: bool = False  # the EXECUTE stands inside EXPLAIN or CREATE TABLE AS
    hold: bool = False  # DECLARE ... WITH HOLD: the cursor outlives its transaction


@dataclass(frozen=True, slots=True)
class Name:
    """A name as written, in its parts (`schema`, `name`), and where (characters of the message from 1)."""

    parts: tuple[str, ...]
    position: int | None = None

    @property
    def text(self) -> str:
        return ".".join(self.parts)

    @property
    def builtin(self) -> str | None:
        """The name in `pg_catalog`, where it can only or may mean that; None for another schema's."""
        if len(self.parts) == 1:
            return self.parts[0]
        return self.parts[1] if len(self.parts) == 2 and self.parts[0] == "pg_catalog" else None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that is set, by SET, RESET or set_config. `name` is None where it is not a constant."""

    name: str | None
    constant: bool
    position: int | None = None
    everything: bool = False  # RESET ALL
    value: str | None = None  # where it is set to one constant; None also for RESET and SET ... TO DEFAULT
    back: bool = False  # RESET and SET ... TO DEFAULT: to what the session began with
    values: tuple[str | None, ...] = ()  # of SET with several constants, each as `value` has it
    called: bool = False  # by set_config: its value is one text, which the server takes apart


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting whose value is asked for. `name` is None where it is not a constant."""

    name: str | None
    position: int | None
    everything: bool = False  # SHOW ALL
    of_view: bool = False  # the name is that of a row of `pg_settings`
    parameter: int | None = None  # the number of the parameter that gives the name, from 1


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a message, and what is known of it."""

    index: int
    kind: str  # `select`, `insert`, `show`, `transaction`, ... in the words that policies use
    text: str  # its own slice of the message, without the semicolon
    position: int  # where that slice begins, in characters of the message from 0
    effect: NameEffect | None = None
    nodes: frozenset[str] = frozenset()  # every node type in the tree
    fields: frozenset[str] = frozenset()  # every field name in the tree
    inner: tuple[str, ...] = ()  # kinds of statements inside it: of EXPLAIN, PREPARE, COPY, of a WITH
    # Names at any depth, each once, where it stands first:
    functions: tuple[Name, ...] = ()  # that are called; methods of TABLESAMPLE
    relations: tuple[Name, ...] = ()
    targets: tuple[Name, ...] = ()  # the relations that INSERT, UPDATE, DELETE, MERGE and COPY FROM write to
    types: tuple[Name, ...] = ()
    unread_types: tuple[Name, ...] = ()  # functions that are given a type as a text which is no known constant
    operators: tuple[Name, ...] = ()  # as written, with a schema or without
    attributes: tuple[str, ...] = ()  # names taken out of a value, `(value).name`: columns, or functions of it
    columns: frozenset[str] = frozenset()  # last parts of `alias.name`: columns, or functions of the whole row
    settings: tuple[Setting, ...] = ()
    into: bool = False  # SELECT INTO, at any depth
    locking: bool = False  # FOR UPDATE and its kind, at any depth
    options: frozenset[str] = frozenset()  # of transactions, as `transaction_read_only=0`
    clauses: frozenset[str] = frozenset()  # of what is no query, as `subtype=AT_AddColumn`
    shown: str | None = None  # the setting that SHOW shows
    shown_settings: tuple[ShownSetting, ...] = ()  # by SHOW and by current_setting, at any depth
    outside: bool = False  # COPY with a file or a program on the server
    beyond_ascii: tuple[
        str, ...
    ] = ()  # names and aliases that are not ASCII, or may have been cut where they were not
    shape: Shape = SHAPELESS
    scopes: Scopes = field(default=Scopes(), repr=False, compare=False)  # for `resolve`

    @property
    def defined(self) -> tuple[tuple[str, ...], ...]:
        """Relations that a command is about which is no query: DDL, LOCK, VACUUM and their like. Names as written."""
        return tuple(use.name for use in self.scopes.uses if use.action in ("define", "lock"))

    @property
    def copies_in(self) -> bool:
        """COPY ... FROM STDIN: the server asks the client for data."""
        return self.kind == "copy-in" and not self.outside


@dataclass(frozen=True, slots=True)
class Message:
    """All statements of one Query or Parse message. Empty for '', ';' or comments only."""

    statements: tuple[Statement, ...]
