"""A policy: which group may use which connection, how it is granted, for how long, which statements.

Values only. `load.py` reads them from YAML, and `evaluate.py` applies the statement section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache, cached_property
from typing import Literal, TypeVar

from pgjit.identity.identity import GroupId
from pgjit.policy.grant_terms import Grant, GrantTerms
from pgjit.policy.identity_terms import IdentityTerms
from pgjit.policy.kinds import addable_kinds, preset_kinds
from pgjit.policy.options import RuleOptions
from pgjit.policy.pattern import Patterns
from pgjit.policy.preset import Preset
from pgjit.policy.redaction import Redaction
from pgjit.policy.selector import Selector

__all__ = [
    "NO_LIMITS", "Grant", "Limits", "Mode", "Policy", "Preset", "ResultCaps", "SettingCaps", "StatementTerms",
]  # fmt: skip

O = TypeVar("O", bound=RuleOptions)  # noqa: E741


class Mode(StrEnum):
    """What happens to a statement that the policy refuses."""

    ENFORCE = "enforce"
    OBSERVE = "observe"  # it runs, and what would have been refused is on record


@cache
def _defaults(shape: type[O]) -> O:
    """Options cannot be changed, and making them is dear."""
    return shape()


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingCaps:
    """The most that a session may set for memory and processes, which all sessions share."""

    work_mem: int = 64 * 2**20  # bytes
    hash_mem_multiplier: float = 4
    parallel_workers: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an execution, a window, a session. None: unlimited."""

    rows: int | None = None  # of one execution
    bytes: int | None = None
    window_rows: int | None = None  # of all executions of a window
    window_bytes: int | None = None
    window_statements: int | None = None
    statement_time: timedelta | None = None
    sessions: int | None = None  # at once
    idle_in_transaction: timedelta | None = None
    caps: SettingCaps = SettingCaps()

    @property
    def of_window(self) -> bool:
        """Whether anything is counted over all sessions of a window."""
        return any(most is not None for most in (self.window_rows, self.window_bytes, self.window_statements))

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) is not None for each in fields(self) if each.name != "caps")


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCaps:
    """How much of a result is kept under `record: results`."""

    rows: int = 1000
    bytes: int = 256 * 1024  # as the server sends them


@dataclass(frozen=True, kw_only=True)
class StatementTerms:
    """The statement section."""

    access: Preset = Preset.READ_ONLY
    allow: tuple[Selector, ...] = ()
    deny: tuple[Selector, ...] = ()
    switches: Mapping[str, RuleOptions] = field(default_factory=dict, hash=False)
    """The rules that the policy switches or gives options, by name."""
    longest: timedelta | None = None
    """The longest statement_timeout that may be set: the limit of a statement's time, or the length of a window."""
    idle: timedelta | None = None
    """The longest that a transaction may be idle, if the policy limits it."""
    caps: SettingCaps = SettingCaps()
    place: str = ""
    """file:line:column of the preset, for explanations."""

    @cached_property
    def needs_names(self) -> bool:
        """Whether names have to be resolved to judge a statement."""
        return self.names_relations or self.denies_relations

    @cached_property
    def names_relations(self) -> bool:
        """Whether `allow` names the relations that may be used."""
        return bool(self.relational)

    @cached_property
    def denies_relations(self) -> bool:
        """Whether `deny` names relations, which must not be reached through views either."""
        return any(each.names_relations for each in self.deny)

    @cached_property
    def relational(self) -> tuple[Selector, ...]:
        """The entries of `allow` that name relations."""
        return tuple(each for each in self.allow if each.names_relations)

    @cached_property
    def general(self) -> tuple[Selector, ...]:
        """Those of them without kinds: they are about every kind of statement."""
        return tuple(each for each in self.relational if each.kinds is None)

    @cached_property
    def names_columns(self) -> bool:
        return any(each.columns is not None for each in self.allow)

    def options(self, name: str, shape: type[O]) -> O:
        """The options that the policy gives a rule; the rule's defaults where it gives none."""
        given = self.switches.get(name)
        return given if isinstance(given, shape) else _defaults(shape)

    @cached_property
    def denied_relations(self) -> tuple[tuple[Patterns | None, Patterns | None, Patterns | None], ...]:
        """For each entry of `deny` on relations: those it names, their schemas, and the relations of its columns."""
        return tuple(
            (each.relations, each.schemas, None if each.columns is None else each.columns.head(1))
            for each in self.deny
            if each.names_relations
        )

    @cached_property
    def preset(self) -> StatementTerms:
        """What `mode: observe` enforces: the preset and what `allow` adds to it, without what narrows it.

        A kind beyond the preset keeps its limits, those of `deny` included: no table is dropped to be observed.
        """
        added: list[Selector] = []
        for each in self.allow:
            beyond = (each.kinds or frozenset()) - preset_kinds(self.access)
            if beyond and each.names_relations:
                added.append(replace(each, kinds=beyond))
            elif beyond and self.general and not each.names_objects:
                added += [replace(one, kinds=beyond) for one in self.general]
            elif not each.names_relations:
                added.append(each)
        kinds = addable_kinds(self.access)
        denied = (replace(each, kinds=(each.kinds or kinds) & kinds) for each in self.deny if each.settings is None)
        return StatementTerms(
            access=self.access,
            allow=tuple(added),
            deny=tuple(each for each in denied if each.kinds),
            longest=self.longest,
            idle=self.idle,
            caps=self.caps,
            place=self.place,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    name: str
    connection: str
    group: GroupId | None  # None: it is for an app role, which its identity terms name
    group_name: str | None  # shown to people, never compared
    grant: Grant
    ttl: timedelta
    cooldown: timedelta  # from a window's end to the next request; by default the ttl
    record: Literal[True, "statements", "results"]  # `statements`: records have no values
    statements: StatementTerms
    source: str  # the file it was read from
    redaction: Redaction | None = None  # what records leave out
    results: ResultCaps | None = None  # of `record: results`: how much of a result is kept
    version: str  # a hash of the file's bytes: what a record names as the policy in force
    mode: Mode = Mode.ENFORCE
    limits: Limits = NO_LIMITS
    identity: IdentityTerms = field(default_factory=IdentityTerms)
    terms: GrantTerms = field(default_factory=GrantTerms)
