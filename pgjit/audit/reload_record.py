"""How reloads of the configuration are written: their names and members. Pure."""

from __future__ import annotations

from pgjit.audit.reload_event import ConfigReloaded, ReloadEvent, ReloadFailed
from pgjit.grants.actor import Actor

__all__ = ["reload_members"]


def reload_members(event: ReloadEvent) -> tuple[str, dict[str, object]]:
    """The record's name, and the members after its time."""
    head: dict[str, object] = {"trigger": event.trigger, "by": None if event.by is None else _actor(event.by)}
    match event:
        case ConfigReloaded():
            return "config.reloaded", {
                **head,
                "config_hash": event.config_hash,
                "policies": [{"name": name, "version": version} for name, version in event.policies],
                "changed": list(event.changed),
                "restart": list(event.restart),
            }
        case ReloadFailed():
            return "config.refused", {**head, "faults": list(event.faults), "count": event.count}
        case _:
            raise TypeError(f"no record is known for {type(event).__name__}")


def _actor(actor: Actor) -> dict[str, object]:
    return {"tid": actor.key.tid, "oid": actor.key.oid, "display": actor.display, "via": actor.via}
