"""A client that connects, runs one query and leaves, again and again: prints the milliseconds of each as a JSON list.

    python -m tests.bench.logins 50

It pauses in between, as an agent does. A result that is not the query's ends it.
"""

from __future__ import annotations

import json
import sys
import time

from psycopg import pq

__all__: list[str] = []

_PAUSE = 0.05
_WARM = 4
"""Logins that are not counted: caches and connections made ahead are filled."""


def _main(number: int) -> None:
    took = []
    for _ in range(number + _WARM):
        begun = time.perf_counter()
        connection = pq.PGconn.connect(b"")
        if connection.status != pq.ConnStatus.OK:
            sys.exit(connection.get_error_message())
        result = connection.exec_(b"SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        if result.status != pq.ExecStatus.TUPLES_OK:
            sys.exit(connection.get_error_message())
        took.append(1000 * (time.perf_counter() - begun))
        connection.finish()
        time.sleep(_PAUSE)
    print(json.dumps(took[_WARM:]))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
