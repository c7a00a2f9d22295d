"""Changes the files of a world that runs, and has them read again."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import yaml

from pgjit.api.reload_result import ReloadResult
from pgjit.demo.world import World

__all__ = ["Agent", "change_config", "connect", "edit_policy", "outcome", "reload"]

Agent = psycopg.AsyncConnection[tuple[object, ...]]


def edit_policy(world: World, name: str, old: str, new: str) -> None:
    path = world.folder / "policies" / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def change_config(world: World, **sections: object) -> None:
    """Replace whole sections of the configuration file."""
    path: Path = world.config_file
    whole = {**yaml.safe_load(path.read_text()), **sections}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(whole))))  # without aliases


async def reload(world: World) -> ReloadResult:
    return await world.app.reloading.run("signal")


async def connect(world: World, token: str, policy: str = "reader", connection: str = "prod-replica") -> Agent:
    return await psycopg.AsyncConnection.connect(world.conninfo(policy, connection), password=token, autocommit=True)


async def outcome(agent: Agent, sql: str) -> str:
    """`ran`, or the reference of the error."""
    try:
        await agent.execute(sql)
    except psycopg.Error as error:
        return str(error.diag.source_function or error)
    return "ran"
