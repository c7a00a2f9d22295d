"""A process of a database server, identified so that it cannot be mistaken for another one. Pure.

Decides what proves that a process is gone. A process id alone is not enough: the operating system uses it again. An
address is not enough: a moment later it may lead to another server. So an answer proves something only about the
server that gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["ProcessSighting", "ProcessStatus", "ServerInstance", "ServerProcess", "process_status"]

ProcessStatus = Literal[
    "there",
    "gone",  # the server that it ran on does not have it any more
    "restarted",  # that server was restarted since, which no process survives
    "elsewhere",  # another server answered, which proves nothing
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInstance:
    """One run of one server: from the start of its postmaster to its end."""

    system: str | None  # the system identifier; a standby has its primary's. None: the login may not read it
    started: datetime  # when the postmaster did
    timeline: str | None = None  # of a primary; it changes with every promotion
    standby: bool = False
    endpoint: str | None = None  # the server's own address and port; None over a Unix socket

    @property
    def run(self) -> tuple[str | None, datetime]:
        """What identifies it. A promotion or another address does not make it another server."""
        return self.system, self.started

    def is_same_run(self, other: ServerInstance) -> bool:
        return self.run == other.run

    def restarted_as(self, later: ServerInstance, *, link_lost: bool) -> bool:
        """Whether `later` is this server after a restart, and not a copy, a standby or a promoted standby.

        `link_lost`: the server closed an open connection, as it does when it restarts.
        """
        if self.system is None or self.system != later.system or later.started <= self.started:
            return False
        if (self.timeline, self.standby) != (later.timeline, later.standby):
            return False
        return link_lost or (self.endpoint is not None and self.endpoint == later.endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    pid: int
    started: datetime
    role: int  # the oid of the role that it logged in as
    instance: ServerInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSighting:
    """The answer to one query: which server answered, and whether the process is there."""

    instance: ServerInstance
    there: bool


def process_status(process: ServerProcess, sight: ProcessSighting, *, link_lost: bool) -> ProcessStatus:
    """What `sight` proves about `process`. INVARIANT: an answer of another server proves nothing."""
    if process.instance.is_same_run(sight.instance):
        return "there" if sight.there else "gone"
    if process.instance.restarted_as(sight.instance, link_lost=link_lost):
        return "restarted"
    return "elsewhere"
