"""What `pgjit store` does: check the store that the configuration names, or bring its schema up to date."""

from __future__ import annotations

from collections.abc import Callable

from pgjit.app.from_config import postgres_login
from pgjit.config import Config
from pgjit.grants.stores import postgres_upgrade, sqlite_database
from pgjit.grants.stores.store_state import StoreState

__all__ = ["check_store", "upgrade_store"]


async def check_store(config: Config) -> StoreState:
    """Raises ServerUnavailable with what keeps a node from using the store."""
    if config.store is not None:
        return await postgres_upgrade.check_store(postgres_login(config.store))
    return sqlite_database.check_file(config.path(config.file.store.path))


async def upgrade_store(config: Config, waiting: Callable[[], None], *, only_create: bool) -> StoreState:
    """`waiting` is called if another process does so now. Raises ServerUnavailable."""
    if config.store is not None:
        return await postgres_upgrade.upgrade_store(postgres_login(config.store), waiting, only_create=only_create)
    if only_create:
        return sqlite_database.check_file(config.path(config.file.store.path))
    return sqlite_database.upgrade_file(config.path(config.file.store.path))
