"""The version of a store's schema: reading it, refusing one that this pgjit does not know, upgrading it.

Alembic keeps the version in the table `alembic_version`. Everything here runs in a transaction of the caller. Alembic
is imported for an upgrade only: a start on an up-to-date store does without its seventy modules.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from pgjit.errors import ServerUnavailable

__all__ = [
    "MIGRATIONS",
    "VERSIONS",
    "check_known",
    "head_version",
    "pending_versions",
    "schema_version",
    "upgrade_schema",
]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = ("v1", "v2", "v3")
"""The revisions in `migrations/`, the oldest first."""


def schema_version(connection: sa.Connection) -> str | None:
    """None for a database without a store."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if version is None else str(version)


def head_version() -> str:
    return VERSIONS[-1]


def pending_versions(version: str | None) -> list[str]:
    """The versions between a known one and the current one, in the order in which they are made."""
    return list(VERSIONS if version is None else VERSIONS[VERSIONS.index(version) + 1 :])


def check_known(name: str, version: str | None, *, before_release: str) -> None:
    """Raises ServerUnavailable. `before_release`: the hint for a schema from before the first release."""
    if version is None or version in VERSIONS:
        return
    if re.fullmatch(r"000[1-7]", version):
        detail = f"{name} has schema version {version}, from before the first release; this pgjit reads "
        hint = before_release
    else:
        detail = f"{name} has schema version {version}, which this pgjit does not know; it reads "
        hint = "Start the version of pgjit that wrote it, or a later one."
    raise ServerUnavailable(
        "window store cannot be used",
        reference="store-version-unknown",
        detail=f"{detail}{head_version()}.",
        hint=hint,
    )


def upgrade_schema(connection: sa.Connection) -> None:
    """Bring the schema up to date, in the transaction that `connection` is in. Raises OSError if Alembic cannot."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as fault:
        raise OSError(str(fault)) from fault
