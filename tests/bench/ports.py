"""Free TCP ports, and the wait until a program listens on one."""

from __future__ import annotations

import socket
import subprocess
import time

__all__ = ["await_port", "free_port"]

_SECONDS = 60


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[str]) -> None:
    """Returns when `port` takes connections. Fails with the program's output if it ends before that."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"bench: {process.args!r} ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"bench: {process.args!r} does not listen on port {port}")
