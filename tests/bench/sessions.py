"""A client that opens many sessions and holds them: prints a line when all are open, and ends with its input.

python -m tests.bench.sessions 1000
"""

from __future__ import annotations

import sys

from psycopg import pq
from psycopg.pq import abc

from pgjit.file_descriptors import raise_limit

__all__: list[str] = []

_OTHER_FILES = 100


def _main(number: int) -> None:
    raise_limit(number + _OTHER_FILES)
    held: list[abc.PGconn] = []
    for _ in range(number):
        connection = pq.PGconn.connect(b"")
        if connection.status != pq.ConnStatus.OK:
            sys.exit(f"{len(held)} sessions are open, no more: {connection.get_error_message()}")
        # A session that has run something is what idles, not one that has just logged in.
        connection.exec_(b"SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        held.append(connection)
    print("open", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
