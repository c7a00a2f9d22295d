"""The version of a store's schema: reading it, refusing one that this pgjit does not know, upgrading it.

Alembic keeps the version in the table `alembic_version`. Everything here runs in a transaction of the caller.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from pgjit.errors import ServerUnavailable

__all__ = ["check_known", "head_version", "pending_versions", "schema_version", "upgrade_schema"]

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def schema_version(connection: sa.Connection) -> str | None:
    """None for a database without a store."""
    return MigrationContext.configure(connection).get_current_revision()


def head_version() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def pending_versions(version: str | None) -> list[str]:
    """The versions between a known one and the current one, in the order in which they are made."""
    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.iterate_revisions("head", version or "base")][::-1]


def check_known(name: str, version: str | None, *, before_release: str) -> None:
    """Raises ServerUnavailable. `before_release`: the hint for a schema from before the first release."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is None or version in known:
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
    """Bring the schema up to date, in the transaction that `connection` is in."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
