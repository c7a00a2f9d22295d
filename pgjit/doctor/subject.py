"""The subject of an examination: the login role, the roles that it can become, and what its policies need.

Holds values, and writes the REVOKE for a privilege or a membership. Does not decide which rights are dangers.
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
    """The login role and its database, as the server reports them."""

    oid: int
    name: str  # this and every name below in SQL's spelling, quoted if necessary
    superuser: bool
    createrole: bool
    createdb: bool
    replication: bool
    bypassrls: bool
    connection_limit: int
    days_valid: float | None  # until VALID UNTIL; None: no limit
    database: str
    heir: str  # the role that could own its objects: the database's owner, or the cluster's first superuser
    version: int  # 150018 for 15.18


class Membership(NamedTuple):
    """One row of pg_auth_members whose member is the login role."""

    role: str
    grantor: str
    admin: bool
    settable: bool
    inherited: bool


class ReachedRole(NamedTuple):
    """A role that the login role is a member of, directly or through other roles."""

    oid: int
    name: str
    powers: list[str]  # SUPERUSER, CREATEROLE, ...
    through: list[str]  # the direct memberships of the login role that lead to this role
    owner: bool  # whether it owns anything in this database


class ControlRole(NamedTuple):
    """The separate login role of the connection's control connections, as the server reports it."""

    name: str
    exists: bool
    superuser: bool
    can_login: bool
    signals: bool  # has the rights of pg_signal_backend, or of the sessions' login role
    sees: bool  # has the rights of pg_read_all_stats, or of the sessions' login role
    connects: bool  # to this database
    within_reach: bool  # the sessions' login role can become it


class Privilege(NamedTuple):
    """One privilege on one object: an entry of an aclitem."""

    kind: str  # the word after ON in REVOKE: `TABLE`, `SCHEMA`, ...
    object: str
    privilege: str  # `INSERT`, `UPDATE (email)`
    grantee: int
    grantor: str
    owner: str
    grantable: bool
    what: str = ""  # a more exact kind, in words: `foreign table`


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    connection: str
    login: LoginRole
    memberships: tuple[Membership, ...] = ()
    reached: tuple[ReachedRole, ...] = ()
    access: frozenset[Preset] = frozenset()  # of the policies of this connection; none counts as reading
    policies: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()  # policies that run statements no rule can read: `access: full`, `allow: do`, DDL
    control: ControlRole | None = None
    named: tuple[Patterns, ...] = ()  # functions that these policies name
    search_path: tuple[str, ...] = ("public",)
    sslmode: SslMode | None = None  # None: over a Unix socket
    hosts: tuple[str, ...] = ()  # without Unix sockets
    _by_oid: dict[int, ReachedRole] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_oid", {role.oid: role for role in self.reached})

    @property
    def grantees(self) -> list[int]:
        """The roles whose rights the login role has: PUBLIC, itself, and the roles that it is a member of."""
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
                # Other members may need the right: the login role leaves the role, which keeps it.
                fixes.update(dict.fromkeys(self.unreach(grant.grantee)))
                continue
            key = (grant.kind, grant.object, grant.grantee, grant.grantor, grant.owner)
            privileges, grantable = merged.setdefault(key, ([], False))
            privileges.append(grant.privilege)
            merged[key] = (privileges, grantable or grant.grantable)
        for (kind, name, grantee, grantor, owner), (privileges, grantable) in merged.items():
            sql = f"REVOKE {', '.join(privileges)} ON {kind} {name} FROM {self.name(grantee)}"
            sql += " CASCADE;" if grantable else ";"
            # A superuser's REVOKE acts as the owner, and does not revoke what another role granted.
            fixes[sql if grantor == owner else f"SET ROLE {grantor}; {sql} RESET ROLE;"] = None
        return tuple(fixes)
