"""A client that reads one big result, and prints the seconds that this took, the login excluded.

    python -m tests.bench.fetch text|binary|copy 'SELECT ...'

It keeps nothing and converts nothing: libpq reads the result as it comes.
"""

from __future__ import annotations

import sys
import time

from psycopg import pq

__all__: list[str] = []


def _main(how: str, sql: bytes) -> None:
    connection = pq.PGconn.connect(b"")
    if connection.status != pq.ConnStatus.OK:
        sys.exit(connection.get_error_message())
    begun = time.perf_counter()
    if how == "copy":
        result = connection.exec_(sql)
        if result.status != pq.ExecStatus.COPY_OUT:
            sys.exit(connection.get_error_message())
        while connection.get_copy_data(0)[0] > 0:
            pass
        ended = connection.get_result()
        assert ended is not None
        status = ended.status
    else:
        connection.send_query_params(sql, None, result_format=pq.Format.BINARY if how == "binary" else pq.Format.TEXT)
        connection.set_chunked_rows_mode(1000) if pq.version() >= 170000 else connection.set_single_row_mode()
        status = pq.ExecStatus.TUPLES_OK
        while (part := connection.get_result()) is not None:
            status = part.status
    took = time.perf_counter() - begun
    if status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        sys.exit(connection.get_error_message())
    print(took)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2].encode())
