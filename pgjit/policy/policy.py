"""A policy: which group may use which connection, how it is granted, for how long, which statements.

The value only; `load.py` reads it from YAML and `evaluate.py` applies its statement section.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pgjit.identity.identity import GroupId

__all__ = ["Access", "Grant", "Policy", "StatementTerms"]


class Grant(StrEnum):
    """How access is granted."""

    ON_REQUEST = "on-request"  # connecting is the request; a member of the group is granted it at once


class Access(StrEnum):
    """The preset that a policy's statement section starts from."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    FULL = "full"  # everything is recorded and nothing refused: for break-glass


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementTerms:
    """The statement section."""

    access: Access = Access.READ_ONLY
    functions: frozenset[str] = frozenset()
    """Functions allowed beyond the built-in allow-list. A bare name means `pg_catalog.name`."""
    types: frozenset[str] = frozenset()
    """Types allowed beyond the built-in ones, with their schema."""
    operators: frozenset[str] = frozenset()
    """Operators allowed beyond the built-in ones, as statements write them: `<=>` or `public.<=>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    name: str
    connection: str
    group: GroupId
    group_name: str | None  # shown to people, never compared
    grant: Grant
    ttl: timedelta
    cooldown: timedelta  # from a window's end to the next request; the ttl unless the policy says otherwise
    record: bool
    statements: StatementTerms
    source: str  # the file it was read from
    version: str  # a hash of the file's bytes: what a record names as the policy in force
