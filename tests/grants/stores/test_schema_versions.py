"""The versions of the schema that are listed are those that there are migrations for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from pgjit.grants.stores.schema_versions import (
    MIGRATIONS,
    VERSIONS,
    head_version,
    pending_versions,
    schema_version,
    upgrade_schema,
)


def test_the_list_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == VERSIONS
    assert scripts.get_current_head() == head_version()


def test_an_empty_database_has_no_version_and_an_upgraded_one_the_last() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        assert schema_version(connection) is None
        assert pending_versions(None) == list(VERSIONS)
        upgrade_schema(connection)
        assert schema_version(connection) == head_version()
        assert pending_versions(head_version()) == []
    engine.dispose()
