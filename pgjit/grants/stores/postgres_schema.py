"""The schema of a PostgreSQL store: whether a node may use it as it is, and what `pgjit store upgrade` does.

A node never changes the schema: other nodes use it. It refuses one that is older or newer than its own, and a role
that lacks a right.
"""

from __future__ import annotations

import zlib

import sqlalchemy as sa

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.review_schema import locks
from pgjit.grants.stores.schema_versions import (
    check_known,
    head_version,
    pending_versions,
    schema_version,
    upgrade_schema,
)

__all__ = ["UPGRADE_LOCK", "check_schema", "locked_upgrade", "missing_rights", "upgrade_running"]

UPGRADE_LOCK = zlib.crc32(b"pgjit store upgrade")  # the key of the advisory lock: the same in every version
_BEFORE_RELEASE = "Use an empty database: the journals restore the windows."
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def check_schema(connection: sa.Connection, name: str) -> None:
    """Raises ServerUnavailable if a node cannot work with this schema."""
    if lacking := missing_rights(connection):
        raise ServerUnavailable(
            "window store cannot be used",
            reference="store-rights",
            detail=f"The role of pgjit lacks rights in {name}: {'; '.join(lacking)}.",
            hint="Grant them, or make the role the owner of the database and of its tables.",
        )
    version = schema_version(connection)
    check_known(name, version, before_release=_BEFORE_RELEASE)
    if version != head_version():
        held = "no schema yet" if version is None else f"schema version {version}"
        raise ServerUnavailable(
            "window store cannot be used",
            reference="store-not-upgraded",
            detail=f"{name} has {held}; this pgjit needs version {head_version()}.",
            hint="Run: pgjit store upgrade --config pgjit.yaml",
        )


def missing_rights(connection: sa.Connection) -> list[str]:
    """What the role may not do with the tables that are there."""
    lacking = [] if _has(connection, "has_schema_privilege('public', 'USAGE')") else ["USAGE on schema public"]
    names = ["alembic_version", *locks.metadata.tables]
    query = sa.text(
        "SELECT c.relname, has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), "
        "has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE') FROM pg_catalog.pg_class c "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY(:names) ORDER BY 1"
    )
    for name, *may in connection.execute(query.bindparams(sa.bindparam("names", names, sa.ARRAY(sa.Text)))):
        needed = _RIGHTS[:1] if name == "alembic_version" else _RIGHTS
        if rights := [right for right, has in zip(_RIGHTS, may, strict=True) if right in needed and not has]:
            lacking.append(f"{', '.join(rights)} on {name}")
    sequences = sa.text(
        "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace "
        "AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') ELSE false END ORDER BY 1"
    )
    lacking += [f"USAGE on sequence {name}" for name in connection.execute(sequences).scalars()]
    return lacking


def upgrade_running(connection: sa.Connection) -> bool:
    """Whether another process upgrades the store now."""
    return not _has(connection, f"pg_try_advisory_xact_lock({UPGRADE_LOCK})")


def locked_upgrade(connection: sa.Connection, name: str, *, only_create: bool = False) -> list[str]:
    """Upgrade the schema, in this transaction; returns the versions that were made. Waits for another upgrade.

    `only_create`: a schema that is there already is not touched.
    """
    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})"))
    connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))  # nodes that run keep no lock for longer
    version = schema_version(connection)
    check_known(name, version, before_release=_BEFORE_RELEASE)
    made = [] if only_create and version is not None else pending_versions(version)
    if made:
        upgrade_schema(connection)
    return made


def _has(connection: sa.Connection, expression: str) -> bool:
    return bool(connection.execute(sa.text(f"SELECT {expression}")).scalar_one())
