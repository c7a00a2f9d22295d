"""Policy files to policies: every fault of every file at once, each with its place.

Decides which keys a policy may have and how they are written. Reference: policies/README.md.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from pgjit.document import Document
from pgjit.identity.identity import GroupId
from pgjit.policy.policy import Access, Grant, Policy, StatementTerms

__all__ = ["Policies", "PolicyFile", "load_policies"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h)\Z")
_OPERATOR = re.compile(r"([A-Za-z_][A-Za-z0-9_$]*\.)?[-+*/<>=~!@#%^&|`?]+\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_LONGEST = timedelta(hours=24)
STANDING = timedelta(hours=8)
"""A window longer than this is standing access in all but name."""


def _duration(value: object) -> timedelta:
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a whole number with its unit, such as 90s, 30m or 2h")
    length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if length > timedelta(days=365):
        raise ValueError("is longer than a year")
    return length


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.match(value) or len(value) > 63:
        raise ValueError("must be kebab-case, with at most 63 characters")
    return value


def _guid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("must be the group's object id, a GUID; a name can be given beside it") from None


def _group(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _recorded(value: object) -> bool:
    if value is not True:
        raise ValueError("must be true: pgjit has no unrecorded access")
    return True


def _builtin_or_qualified(value: object) -> str:
    """`name` stands for `pg_catalog.name`: what is not built in is named with its schema."""
    parts = value.split(".") if isinstance(value, str) else []
    if not 1 <= len(parts) <= 2 or not all(part.strip() == part != "" for part in parts):
        raise ValueError("must be a name, with its schema if it is not built in")
    return f"pg_catalog.{parts[0]}" if len(parts) == 1 else ".".join(parts)


def _operator(value: object) -> str:
    if not isinstance(value, str) or not _OPERATOR.match(value):
        raise ValueError("must be an operator as statements write it, such as <=> or public.<=>")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
KebabName = Annotated[str, BeforeValidator(_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupSection(_Section):
    id: Annotated[str, BeforeValidator(_guid)]
    name: str | None = None


class Selector(_Section):
    """One thing that is allowed beyond the preset."""

    function: Annotated[str | None, BeforeValidator(_builtin_or_qualified)] = None
    type: Annotated[str | None, BeforeValidator(_builtin_or_qualified)] = None
    operator: Annotated[str | None, BeforeValidator(_operator)] = None

    @model_validator(mode="after")
    def _one(self) -> Selector:
        if len(self.model_fields_set) != 1:
            raise ValueError("must be one of function, type or operator")
        return self


class StatementSection(_Section):
    access: Access = Access.READ_ONLY
    allow: list[Selector] = Field(default_factory=list)

    @model_validator(mode="after")
    def _nothing_beyond(self) -> StatementSection:
        if self.access is Access.FULL and self.allow:
            raise ValueError("must not have `allow` beside `access: full`: there is nothing that it refuses")
        return self


class PolicyFile(_Section):
    """A policy as written."""

    policy: KebabName
    connection: KebabName
    group: Annotated[GroupSection, BeforeValidator(_group)]
    grant: Grant
    ttl: Duration
    record: Annotated[bool, BeforeValidator(_recorded)]
    cooldown: Duration | None = None
    statements: StatementSection

    @field_validator("ttl")
    @classmethod
    def _bounded(cls, value: timedelta) -> timedelta:
        if value > _LONGEST:
            raise ValueError("is longer than 24h: that is standing access")
        return value


class Policies(dict[str, Policy]):
    """The policies by name. `warnings` are for people to read; they stop nothing."""

    def __init__(self, policies: Iterable[Policy] = (), warnings: tuple[str, ...] = ()) -> None:
        super().__init__((policy.name, policy) for policy in policies)
        self.warnings = warnings

    def for_connection(self, connection: str, groups: Iterable[GroupId]) -> tuple[Policy, ...]:
        """The policies that open `connection` to a member of `groups`."""
        member = frozenset(groups)
        return tuple(p for p in self.values() if p.connection == connection and p.group in member)


def load_policies(folder: Path) -> tuple[Policies, list[str]]:
    """All policies of `folder` (`*.yaml`, tests beside them left out) and all faults, each with its place."""
    faults: list[str] = []
    loaded: list[tuple[Policy, Document]] = []
    if not folder.is_dir():
        return Policies(), [f"{folder}:1:1: is not a folder"]
    for path in sorted(folder.glob("*.yaml")):
        if path.stem.endswith("_test"):
            continue
        document = Document.read(path)
        written = document.model(PolicyFile)
        faults += document.faults
        if written is not None:
            loaded.append((_policy(written, document), document))
    faults += _conflicts(loaded)
    warnings = tuple(
        f"{document.place(('ttl',))}: a window of {policy.ttl} is standing access in all but name"
        for policy, document in loaded
        if policy.ttl > STANDING
    )
    return Policies((policy for policy, _ in loaded), warnings), faults


def _policy(written: PolicyFile, document: Document) -> Policy:
    return Policy(
        name=written.policy,
        connection=written.connection,
        group=GroupId(written.group.id),
        group_name=written.group.name,
        grant=written.grant,
        ttl=written.ttl,
        cooldown=written.ttl if written.cooldown is None else written.cooldown,
        record=written.record,
        statements=StatementTerms(
            access=written.statements.access,
            functions=frozenset(each.function for each in written.statements.allow if each.function),
            types=frozenset(each.type for each in written.statements.allow if each.type),
            operators=frozenset(each.operator for each in written.statements.allow if each.operator),
        ),
        source=str(document.path),
        version=document.sha256,
    )


def _conflicts(loaded: list[tuple[Policy, Document]]) -> list[str]:
    faults: list[str] = []
    names: dict[str, str] = {}
    grants: dict[tuple[Any, str], str] = {}
    for policy, document in loaded:
        if policy.name in names:
            faults.append(f"{document.place(('policy',))}: `{policy.name}` is in {names[policy.name]} already")
        names.setdefault(policy.name, str(document.path))
        key = (policy.group, policy.connection)
        if key in grants:
            faults.append(
                f"{document.place(('group',))}: policy `{grants[key]}` opens connection `{policy.connection}` "
                "to the same group already"
            )
        grants.setdefault(key, policy.name)
    return faults
