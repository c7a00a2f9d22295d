"""The members that several records share: who, in which window, and which process of which server. Pure."""

from __future__ import annotations

from pgjit.audit.event import BalancerConnection
from pgjit.audit.record_json import time_text
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity, IdentityKey

__all__ = [
    "balancer_member", "identity_member", "identity_text", "instance_member", "key_member", "process_member",
    "window_member",
]  # fmt: skip


def identity_member(identity: Identity) -> dict[str, object]:
    return {
        "tid": identity.key.tid,
        "oid": identity.key.oid,
        "app_id": identity.app_id,
        "kind": identity.kind.value,
        "display": identity.display,
        "token_id": identity.token_id,
        "blueprint_id": identity.blueprint_id,
        "on_behalf_of": identity.on_behalf_of,
        "credential": None if identity.credential is None else identity.credential.value,
        "acrs": sorted(identity.acrs),
    }


def key_member(key: IdentityKey) -> dict[str, object]:
    """An identity of which only the key is known."""
    return {"tid": key.tid, "oid": key.oid}


def identity_text(key: IdentityKey) -> str:
    """An identity in a record that is written often."""
    return f"{key.tid}/{key.oid}"


def window_member(window: Window) -> dict[str, object]:
    return {"id": window.id, "opened_at": time_text(window.opened_at), "ends_at": time_text(window.ends_at)}


def process_member(process: ServerProcess) -> dict[str, object]:
    return {"pid": process.pid, "started_at": time_text(process.started), "server": instance_member(process.instance)}


def instance_member(instance: ServerInstance) -> dict[str, object]:
    return {
        "system": instance.system,
        "started_at": time_text(instance.started),
        "timeline": instance.timeline,
        "standby": instance.standby,
        "endpoint": instance.endpoint,
    }


def balancer_member(balancer: BalancerConnection | None) -> dict[str, object]:
    """The member `balancer`, if there is one: most nodes have none in front of them."""
    if balancer is None:
        return {}
    named = {
        "unique_id": None if balancer.unique_id is None else balancer.unique_id.hex(),
        "link_id": balancer.link_id,
        "vpc_endpoint": balancer.vpc_endpoint,
    }
    return {
        "balancer": {"source": balancer.source, **{name: each for name, each in named.items() if each is not None}}
    }
