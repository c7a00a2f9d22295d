"""`pgjit catalog`: prints the catalog of a connection's server as JSON, for testing policies without the server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.server.target import Target
    from pgjit.sql.catalog import Catalog

__all__ = ["catalog"]


def catalog(
    connection: Annotated[str, typer.Option(help="A connection of the configuration.")],
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
) -> int:
    """Print the catalog of a connection's server: its relations, columns, functions, operators and types.

    Statements are judged with it. It holds no rows of tables. Nothing is written on the server.
    """
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config

    targets = load_config(config).targets
    target = targets.get(connection)
    if target is None:
        known = ", ".join(sorted(targets))
        raise WrongUsage(f"there is no connection `{connection}`; known: {known}")
    content = run_program(_read(target))
    sys.stdout.write(content.to_json().decode() + "\n")
    return Status.OK


async def _read(target: Target) -> Catalog:
    from pgjit.server.catalog_cache import CatalogCache
    from pgjit.server.servers import Servers

    servers = Servers(target)
    catalogs = CatalogCache(target, servers)
    try:
        return await catalogs.get()
    finally:
        await catalogs.close()
        await servers.close()
