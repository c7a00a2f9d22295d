"""A process of a database server, named so that it cannot be mistaken for another one. Values only; pure.

Decides what proves that it is gone. A process id alone is used again by the operating system, and an address may lead
to another server a moment later: a look proves something of the server that it was made on, and of no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Instance", "ProcessSighting", "ServerProcess", "Verdict", "verdict"]

Verdict = Literal[
    "there",
    "gone",  # the server that it ran on does not have it any more
    "restarted",  # that server was started anew since: none of its processes lived through that
    "elsewhere",  # another server answered, which says nothing of this one
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One run of one server: from the start of its postmaster to its end."""

    system: str | None  # the system identifier; a standby has its primary's. None: the login may not read it
    started: datetime  # when the postmaster did
    timeline: str | None = None  # of a primary: another one after every promotion
    standby: bool = False
    endpoint: str | None = None  # the server's own address and port; None over a Unix socket

    @property
    def run(self) -> tuple[str | None, datetime]:
        """What names it: a server may be promoted, and be reached at another address, without being another one."""
        return self.system, self.started

    def is_same_run(self, other: Instance) -> bool:
        return self.run == other.run

    def restarted_as(self, later: Instance, *, link_lost: bool) -> bool:
        """Whether `later` is this server after a restart, and neither a copy, a standby nor what was promoted.

        `link_lost`: the server has closed a connection that was open until then, as a restart does.
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
    instance: Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSighting:
    """What one question found: which server answered, and whether the process is there."""

    instance: Instance
    there: bool


def verdict(process: ServerProcess, sight: ProcessSighting, *, link_lost: bool) -> Verdict:
    """What `sight` proves of `process`. INVARIANT: nothing, where another server was looked at."""
    if process.instance.is_same_run(sight.instance):
        return "there" if sight.there else "gone"
    if process.instance.restarted_as(sight.instance, link_lost=link_lost):
        return "restarted"
    return "elsewhere"
