"""The facts about a statement, extracted from its syntax tree. Values only.

INVARIANT: the packages right of `pgjit.sql` read these values and never a syntax tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pgjit.sql.scopes.scopes import Scopes
from pgjit.sql.shape.shape import SHAPELESS, Shape

__all__ = [
    "Argument",
    "Message",
    "Name",
    "NameEffect",
    "RedactedText",
    "Setting",
    "ShownSetting",
    "Statement",
    "StatementSummary",
]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of EXECUTE: the value of a constant (None: NULL), or the text of an expression."""

    text: str | None
    constant: bool = True


@dataclass(frozen=True, slots=True)
class NameEffect:
    """What a statement does to the session's prepared statements and portals, by name.

    PREPARE, EXECUTE and DEALLOCATE name prepared statements; DECLARE, FETCH (and MOVE) and CLOSE name portals. The
    wire protocol uses the same name spaces. `name` is None for ALL. DISCARD ALL is `discard`. `anything` is a DO
    block that may do any of these.
    """

    verb: Literal["prepare", "execute", "deallocate", "declare", "fetch", "close", "discard", "anything"]
    name: str | None
    arguments: tuple[Argument, ...] = ()  # of EXECUTE
    around: bool = False  # the EXECUTE stands inside EXPLAIN or CREATE TABLE AS
    hold: bool = False  # DECLARE ... WITH HOLD: the cursor outlives its transaction


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as Statement
class Name:
    """A name as written, in its parts (`schema`, `name`), and its position (characters of the message, from 1)."""

    parts: tuple[str, ...]
    position: int | None = None

    @property
    def text(self) -> str:
        return ".".join(self.parts)

    @property
    def builtin(self) -> str | None:
        """The name in `pg_catalog`, if the written name may mean that schema; None if it names another one."""
        if len(self.parts) == 1:
            return self.parts[0]
        return self.parts[1] if len(self.parts) == 2 and self.parts[0] == "pg_catalog" else None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that is set, by SET, RESET or set_config. `name` is None if it is not a constant."""

    name: str | None
    constant: bool
    position: int | None = None
    everything: bool = False  # RESET ALL
    value: str | None = None  # the one constant it is set to; None also for RESET and SET ... TO DEFAULT
    back: bool = False  # RESET and SET ... TO DEFAULT: the value of the session's start
    values: tuple[str | None, ...] = ()  # the constants of a SET with several, each as `value` has it
    called: bool = False  # by set_config: its value is one text, which the server splits itself


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting whose value is read, by SHOW or current_setting. `name` is None if it is not a constant."""

    name: str | None
    position: int | None
    everything: bool = False  # SHOW ALL
    of_view: bool = False  # the name is the column `name` of `pg_settings`
    parameter: int | None = None  # the number of the parameter that gives the name, from 1


@dataclass(frozen=True, slots=True)
class RedactedText:
    """The text of a statement as a record has it under a policy with `redact`."""

    text: str  # with `[redacted 1]` and so on in place of what is left out
    values: tuple[bytes, ...] = ()  # what `[redacted 1]` and so on stand for
    touches: bool = False  # it may use a redacted column: its values are redacted but for those that certainly belong
    # to another column. Its result may have values of one
    open_parameters: frozenset[int] = frozenset()  # if it does: numbers of the parameters that belong to another one
    open_origins: frozenset[tuple[int, int]] = frozenset()  # if it does: columns of its tables that are not redacted


@dataclass(slots=True)
class StatementSummary:
    """What a record has of a statement besides its text and its kind. Made by `summary_of`."""

    fingerprint: str | None = None  # libpg_query's: equal for statements that differ in constants only
    normalised: str | None = None  # the text with `$1` and so on for its constants; None: as the text
    reads: tuple[str, ...] = ()  # relations, as `schema.name` where a catalog resolved them
    writes: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()  # functions
    masked: str | None = None  # the text without constants and comments, under `record: statements`
    redacted: RedactedText | None = None  # under `redact`; all else here is made from its text
    of_catalog: bool = False  # it asks only how the database is made, as psql and drivers do by themselves
    rendered: tuple[str, str | None, str] | None = field(default=None, compare=False, repr=False)
    """For the journal: a text, a kind, and the members of a record for them."""
    rendered_names: str | None = field(default=None, compare=False, repr=False)
    """The part of it that does not depend on the text."""
    valueless: StatementSummary | None = field(default=None, compare=False, repr=False)
    """For the journal under `record: statements`: the same without texts, made once for each judgement."""


@dataclass(slots=True)  # not frozen, as a frozen one takes five times as long to make; it is not changed
class Statement:
    """One statement of a message, with the facts about it."""

    index: int
    kind: str  # `select`, `insert`, `show`, `transaction`, ... in the words that policies use
    text: str  # its part of the message, without the semicolon
    position: int  # where that part begins, in characters of the message from 0
    effect: NameEffect | None = None
    nodes: frozenset[str] = frozenset()  # every node type in the tree
    fields: frozenset[str] = frozenset()  # every field name in the tree
    inner: tuple[str, ...] = ()  # kinds of the statements inside it: in EXPLAIN, PREPARE, COPY, in a WITH
    # Names at any depth, each once, with its first position:
    functions: tuple[Name, ...] = ()  # function calls, and the methods of TABLESAMPLE
    relations: tuple[Name, ...] = ()
    targets: tuple[Name, ...] = ()  # the relations that INSERT, UPDATE, DELETE, MERGE and COPY FROM write to
    types: tuple[Name, ...] = ()
    unread_types: tuple[Name, ...] = ()  # functions that take a type's name as text, if the text is not a constant
    operators: tuple[Name, ...] = ()  # as written, with a schema or without
    attributes: tuple[str, ...] = ()  # `name` of `(value).name`: a column, or a function of the value
    columns: frozenset[str] = frozenset()  # `name` of `alias.name`: a column, or a function of the whole row
    settings: tuple[Setting, ...] = ()
    into: bool = False  # SELECT INTO, at any depth
    locking: bool = False  # FOR UPDATE and its kind, at any depth
    options: frozenset[str] = frozenset()  # transaction options, such as `transaction_read_only=0`
    clauses: frozenset[str] = frozenset()  # clauses of utility commands, such as `subtype=AT_AddColumn`
    shown: str | None = None  # the setting that SHOW shows
    shown_settings: tuple[ShownSetting, ...] = ()  # by SHOW and by current_setting, at any depth
    outside: bool = False  # COPY with a file or a program on the server
    # Names and aliases that are not ASCII, or that the parser may have truncated inside a part that was not:
    beyond_ascii: tuple[str, ...] = ()
    shape: Shape = SHAPELESS
    scopes: Scopes = field(default=Scopes(), repr=False, compare=False)  # for `resolve`
    summary: StatementSummary | None = field(default=None, repr=False, compare=False)  # set once it was judged

    @property
    def defined(self) -> tuple[tuple[str, ...], ...]:
        """Relations that a utility command (DDL, LOCK, VACUUM) names, as written."""
        return tuple(use.name for use in self.scopes.command_relations if use.action in ("define", "lock"))

    @property
    def copies_in(self) -> bool:
        """COPY ... FROM STDIN: the server asks the client for data."""
        return self.kind == "copy-in" and not self.outside


@dataclass(slots=True)  # not frozen, as Statement
class Message:
    """All statements of one Query or Parse message. There are none in '', in ';' or in comments."""

    statements: tuple[Statement, ...]
    constants_read: tuple[int, ...] | None = None
    """The indexes of those constants that its facts depend on, if the others were withheld."""
    texts: tuple[str, ...] = ()
    """The texts of the statements that have none, as their constants are withheld."""

    def give_texts(self) -> None:
        """The decision is made: the statements get their texts back."""
        for statement, text in zip(self.statements, self.texts, strict=False):
            statement.text = text
