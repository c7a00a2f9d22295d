"""Worlds that trust a stand-in for Entra and Graph, with policies that a test writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.fakes.entra import StandIn, secret_file

__all__ = ["GROUP", "OID", "graph_world", "policy_text"]

GROUP = "11111111-1111-4111-8111-111111111111"
OID = "0d4b2a6e-91c7-4b55-8f0e-3c2f7a1e5d90"


def policy_text(name: str = "reader", *more: str, whom: str = f"group: {GROUP}", ttl: str = "30m") -> str:
    return "\n".join(
        [
            f"policy: {name}",
            "connection: prod-replica",
            whom,
            "grant: on-request",
            f"ttl: {ttl}",
            "record: true",
            *more,
            "statements:",
            "  access: read-only",
            "  allow:",
            "    - function: pg_sleep",
            "",
        ]
    )


def graph_world(
    database: DemoDatabase,
    folder: Path,
    entra: StandIn,
    *policies: str,
    graph: Mapping[str, object] | None = None,
    **identity: object,
) -> World:
    """`graph` with its secret in a file; without it groups are those of the token."""
    written = folder / "written"
    written.mkdir(exist_ok=True)
    for number, text in enumerate(policies or (policy_text(),)):
        (written / f"p{number}.yaml").write_text(text)
    secret = folder / "reader-secret"
    secret.write_text(database.password)
    section = None if graph is None else {"secret": {"file": secret_file(folder)}, **graph}
    return World(
        folder=folder,
        database=database,
        policies=written,
        config={
            "identity": entra.section(graph=section, **identity),
            "connections": {
                "prod-replica": {
                    "host": str(database.socket_dir),
                    "port": database.port,
                    "database": database.database,
                    "user": database.user,
                    "password": {"file": str(secret)},
                }
            },
        },
    )
