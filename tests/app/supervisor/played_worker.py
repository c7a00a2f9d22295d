"""A worker as the supervisor sees one, in a process that starts fast: it speaks on the bus, and serves nothing.

What it does is in the file `plan` beside the configuration: `serve`, `fail` (ends at once), `hang` (never ready), or
`stay` (serves, and ends at no order).
It accepts connections and closes them with its name, so that a client knows which worker it was.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path


def main() -> int:
    folder = Path(sys.argv[1]).parent
    bus = socket.socket(fileno=int(sys.argv[sys.argv.index("--worker") + 1]))
    lines = bus.makefile("r")
    start = json.loads(lines.readline())
    with (folder / "started").open("a") as log:
        log.write(f"{start['name']} {start['run']} {','.join(start['dead'])}\n")
    plan = (folder / "plan").read_text().strip()
    if plan == "fail":
        return 7
    signal.signal(signal.SIGTERM, signal.SIG_IGN if plan == "stay" else lambda *_: os._exit(0))
    if plan == "hang":
        signal.pause()
    selector = selectors.DefaultSelector()
    selector.register(bus, selectors.EVENT_READ, None)
    for each in start["descriptors"]:
        if each["purpose"] == "listen":
            listening = socket.socket(fileno=each["number"])
            listening.setblocking(False)
            selector.register(listening, selectors.EVENT_READ, listening)
    bus.sendall(b'{"kind":"ready"}\n')
    while True:
        for key, _ in selector.select():
            if key.data is None:
                status = _obey(folder, lines.readline())
                if plan == "stay":
                    selector.unregister(bus)
                elif status is not None:
                    return status
                continue
            try:
                client, _ = key.data.accept()
            except BlockingIOError:
                continue
            with client:
                client.sendall(start["name"].encode())


def _obey(folder: Path, line: str) -> int | None:
    """An order to drain, the end of the bus, or what another worker left."""
    message = json.loads(line or '{"kind": "drain"}')
    if message["kind"] == "died":
        with (folder / "taken over").open("a") as log:
            log.write(f"{message['name']} {message['run']}\n")
        return None
    return 0 if message["kind"] == "drain" else 1


if __name__ == "__main__":
    sys.exit(main())
