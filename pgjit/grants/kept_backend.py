"""A backend that a session has on a server, as a store keeps it for the process that comes after. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from pgjit.grants.server_process import Instance, ServerProcess

__all__ = ["BackendAddress", "KeptBackend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAddress:
    """Where it was reached: one address of one host of a connection."""

    connection: str
    host: str
    port: int
    family: int
    sockaddr: str | tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBackend:
    session_id: str
    window_id: str
    place: BackendAddress
    process: ServerProcess

    @property
    def note(self) -> str:
        """All of it that has no column of its own."""
        return orjson.dumps({"place": self.place, "process": self.process}).decode()

    @classmethod
    def read(cls, session_id: str, window_id: str, note: str) -> KeptBackend:
        """Raises ValueError, KeyError or TypeError."""
        found = orjson.loads(note)
        place, process = found["place"], found["process"]
        sockaddr = place["sockaddr"]
        instance = process["instance"]
        return cls(
            session_id=session_id,
            window_id=window_id,
            place=BackendAddress(**{**place, "sockaddr": sockaddr if isinstance(sockaddr, str) else tuple(sockaddr)}),
            process=ServerProcess(
                pid=process["pid"],
                started=datetime.fromisoformat(process["started"]),
                role=process["role"],
                instance=Instance(**{**instance, "started": datetime.fromisoformat(instance["started"])}),
            ),
        )
