"""A client that opens many sessions and holds them: prints a line when all are open, and ends with its input.

python -m tests.bench.sessions 1000
"""

from __future__ import annotations

import sys
import time

from psycopg import pq
from psycopg.pq import abc

from pgjit.file_descriptors import raise_limit

__all__: list[str] = []

_OTHER_FILES = 100
_SECONDS = 600
"""How long it may take to open all of them."""


def _main(number: int) -> None:
    raise_limit(number + _OTHER_FILES)
    held: list[abc.PGconn] = []
    until = time.monotonic() + _SECONDS
    for _ in range(number):
        connection = pq.PGconn.connect(b"")
        if connection.status != pq.ConnStatus.OK:
            sys.exit(f"{len(held)} sessions are open, no more: {connection.get_error_message()}")
        if time.monotonic() > until:
            sys.exit(f"only {len(held)} sessions could be opened in {_SECONDS} seconds")
        # A session that has run something is what idles, not one that has just logged in.
        connection.exec_(b"SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        held.append(connection)
    print("open", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
