"""HAProxy in front of two nodes of this machine, configured as docker/haproxy.cfg has it, and what its checks found.

Only addresses differ, and the names, which nobody resolves here; and it has a socket on which it reports.
"""

from __future__ import annotations

import asyncio
import csv
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ports import free_port
from tests.run.waiting import until_it_holds

__all__ = ["Balancer", "Place", "lasting_port"]

_FILE = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
_LOCAL = "127.0.0.1"
_SECONDS = 300  # two nodes may start meanwhile, each of several processes
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """A free port that is free again when its server is restarted.

    The kernel gives others to outgoing connections: HAProxy's own to a node that is down could meet itself.
    """
    first = int(_OUTGOING.read_text().split()[0]) if _OUTGOING.exists() else 0
    for port in random.sample(range(first - 10_000, first), 100) if first > 12_000 else ():
        with socket.socket() as tried:
            try:
                tried.bind((_LOCAL, port))
            except OSError:
                continue
        return port
    return free_port()


@dataclass(frozen=True)
class Place:
    """Where a node serves sessions, its admin pages, and the HTTP API with the console."""

    port: int
    admin: int
    api: int


class Balancer:
    """`configuration` is for HAProxy's option -f. Clients connect to `port`, browsers to `console`."""

    def __init__(self, folder: Path, nodes: Sequence[Place]) -> None:
        self.port, self.console = lasting_port(), lasting_port()
        self.configuration = folder / "haproxy.cfg"
        self._socket = folder / "haproxy.sock"
        text = _FILE.read_text("utf-8").partition("resolvers docker\n")[0]
        for old, new in self._changes(nodes):
            assert old in text
            text = text.replace(old, new)
        self.configuration.write_text(text)

    def _changes(self, nodes: Sequence[Place]) -> list[tuple[str, str]]:
        servers = [(f"pgjit-{number}", node) for number, node in enumerate(nodes, 1)]
        return [
            ("\nglobal\n", f"\nglobal\n    stats socket {self._socket} mode 600 level operator\n"),
            ("bind :6432", f"bind {_LOCAL}:{self.port}"),
            ("bind :8432", f"bind {_LOCAL}:{self.console}"),
            (" resolvers docker init-addr none", ""),
            *(
                (f"server {name} {name}:{given}", f"server {name} {_LOCAL}:{port} port {node.admin}")
                for name, node in servers
                for given, port in ((6432, node.port), (8432, node.api))
            ),
        ]

    async def up(self) -> set[str]:
        """The nodes whose last checks have succeeded: clients and browsers are sent there.

        None while HAProxy does not answer. One that no check has looked at yet is not among them, although HAProxy
        sends clients there.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return set()
        writer.write(b"show stat\n")
        text = (await reader.read()).decode().removeprefix("# ")
        writer.close()
        await writer.wait_closed()
        rows = [row for row in csv.DictReader(text.splitlines()) if row["svname"].startswith("pgjit-")]
        # A check that is under way is `* L7OK`: that of the one before.
        down = [row for row in rows if row["status"] != "UP" or not row["check_status"].endswith("L7OK")]
        return {row["svname"] for row in rows} - {row["svname"] for row in down}

    async def until_up(self, *names: str) -> None:
        """Wait until it sends clients to these nodes, to both by default."""
        wanted = set(names or ("pgjit-1", "pgjit-2"))

        async def found() -> bool:
            return wanted <= await self.up()

        try:
            await until_it_holds(found, _SECONDS)
        except TimeoutError:
            raise AssertionError(f"up are {await self.up()}, wanted {wanted}") from None
