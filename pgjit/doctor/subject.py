"""Whose rights are looked at: the login role, the roles that it can become, and what its policies are to do.

Values, and how a right is taken back: the one place where REVOKE is written. Knows no right by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Preset
from pgjit.server.target import SslMode

__all__ = ["PUBLIC", "ControlRole", "LoginRole", "Membership", "Privilege", "ReachedRole", "Subject"]

PUBLIC = 0  # as the grantee of an aclitem


class LoginRole(NamedTuple):
    """The login role as it came, and the place."""

    oid: int
    name: str  # this and every name below as SQL writes it: quoted where it has to be
    superuser: bool
    createrole: bool
    createdb: bool
    replication: bool
    bypassrls: bool
    connection_limit: int
    days_valid: float | None  # until VALID UNTIL; None for ever
    database: str
    heir: str  # who could own in its place: the database's owner, or who made the cluster
    version: int  # 150018 for 15.18


class Membership(NamedTuple):
    """One row of pg_auth_members whose member is the login role."""

    role: str
    grantor: str
    admin: bool
    settable: bool
    inherited: bool


class ReachedRole(NamedTuple):
    """A role that the login role is a member of, by however many steps."""

    oid: int
    name: str
    powers: list[str]  # SUPERUSER, CREATEROLE, ...
    through: list[str]  # roles that the login role is a direct member of and that lead here
    owner: bool  # of anything in this database


class ControlRole(NamedTuple):
    """The login of the connection's own for control connections, as the server has it."""

    name: str
    exists: bool
    superuser: bool
    can_login: bool
    signals: bool  # has the rights of pg_signal_backend, or of the sessions' login role
    sees: bool  # has those of pg_read_all_stats, or of the sessions' login role
    connects: bool  # to this database
    within_reach: bool  # the sessions' login role can become it


class Privilege(NamedTuple):
    """One privilege on one object, as an aclitem says."""

    kind: str  # as after ON in REVOKE: `TABLE`, `SCHEMA`, ...
    object: str
    privilege: str  # `INSERT`, `UPDATE (email)`
    grantee: int
    grantor: str
    owner: str
    grantable: bool
    what: str = ""  # in words, where the kind does not say it: `foreign table`


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    connection: str
    login: LoginRole
    memberships: tuple[Membership, ...] = ()
    reached: tuple[ReachedRole, ...] = ()
    access: frozenset[Preset] = frozenset()  # of the policies that open this connection; none is taken for reading
    policies: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()  # those that let run what no rule can tell: `access: full`, `allow: do`, DDL
    control: ControlRole | None = None
    named: tuple[Patterns, ...] = ()  # functions that these policies name
    search_path: tuple[str, ...] = ("public",)
    sslmode: SslMode | None = None  # None: over a Unix socket
    hosts: tuple[str, ...] = ()  # but for Unix sockets
    _by_oid: dict[int, ReachedRole] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_oid", {role.oid: role for role in self.reached})

    @property
    def grantees(self) -> list[int]:
        """Whoever is given a right gives it to the login role: itself, PUBLIC, and what it is a member of."""
        return [PUBLIC, self.login.oid, *self._by_oid]

    @property
    def reads_only(self) -> bool:
        return self.access <= {Preset.READ_ONLY}

    @property
    def writes_only(self) -> bool:
        return bool(self.access) and Preset.READ_ONLY not in self.access

    def name(self, grantee: int) -> str:
        if grantee == PUBLIC:
            return "PUBLIC"
        return self.login.name if grantee == self.login.oid else self._by_oid[grantee].name

    def leave(self, role: str) -> tuple[str, ...]:
        """SQL that ends the direct memberships in `role`."""
        return tuple(self._leave(each) for each in self.memberships if each.role == role)

    def _leave(self, membership: Membership) -> str:
        # From version 16 on each grantor's grant stands for itself.
        by = f" GRANTED BY {membership.grantor}" if self.login.version >= 160000 else ""
        cascade = " CASCADE" if membership.admin else ""
        return f"REVOKE {membership.role} FROM {self.login.name}{by}{cascade};"

    def unreach(self, oid: int) -> tuple[str, ...]:
        """SQL that ends all memberships that lead to the role `oid`."""
        return tuple(sql for direct in self._by_oid[oid].through for sql in self.leave(direct))

    def revoke(self, grants: Iterable[Privilege]) -> tuple[str, ...]:
        """SQL that takes the grants back: one statement for all privileges of one grantee on one object."""
        merged: dict[tuple[str, str, int, str, str], tuple[list[str], bool]] = {}
        fixes: dict[str, None] = {}
        for grant in grants:
            if grant.grantee in self._by_oid:
                # Others may need it: the login role leaves, the role keeps its right.
                fixes.update(dict.fromkeys(self.unreach(grant.grantee)))
                continue
            key = (grant.kind, grant.object, grant.grantee, grant.grantor, grant.owner)
            privileges, grantable = merged.setdefault(key, ([], False))
            privileges.append(grant.privilege)
            merged[key] = (privileges, grantable or grant.grantable)
        for (kind, name, grantee, grantor, owner), (privileges, grantable) in merged.items():
            sql = f"REVOKE {', '.join(privileges)} ON {kind} {name} FROM {self.name(grantee)}"
            sql += " CASCADE;" if grantable else ";"
            # A superuser's REVOKE counts as the owner's, and takes back nothing that another one granted.
            fixes[sql if grantor == owner else f"SET ROLE {grantor}; {sql} RESET ROLE;"] = None
        return tuple(fixes)
