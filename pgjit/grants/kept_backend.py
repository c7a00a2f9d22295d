"""A session's backend, as the store keeps it until the backend is seen to be gone. Pure.

A process that is killed leaves its backends running on the servers. The next process reads them from the store and
ends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from pgjit.grants.server_process import ServerInstance, ServerProcess

__all__ = ["BackendAddress", "KeptBackend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAddress:
    """Where pgjit reached the server: one address of one host of a connection."""

    connection: str
    host: str
    port: int
    family: int
    sockaddr: str | tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBackend:
    session_id: str
    window_id: str
    address: BackendAddress
    process: ServerProcess

    @property
    def note(self) -> str:
        """The address and the process, as JSON: the store has no columns for them."""
        return orjson.dumps({"address": self.address, "process": self.process}).decode()

    @classmethod
    def read(cls, session_id: str, window_id: str, note: str) -> KeptBackend:
        """Raises ValueError, KeyError or TypeError."""
        parts = orjson.loads(note)
        address, process = parts["address"], parts["process"]
        sockaddr = address["sockaddr"]
        instance = process["instance"]
        return cls(
            session_id=session_id,
            window_id=window_id,
            address=BackendAddress(
                **{**address, "sockaddr": sockaddr if isinstance(sockaddr, str) else tuple(sockaddr)}
            ),
            process=ServerProcess(
                pid=process["pid"],
                started=datetime.fromisoformat(process["started"]),
                role=process["role"],
                instance=ServerInstance(**{**instance, "started": datetime.fromisoformat(instance["started"])}),
            ),
        )
