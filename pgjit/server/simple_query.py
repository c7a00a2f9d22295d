"""One simple query on a connection of pgjit's own: SQL in, rows of text out.

For the control connections and for reading catalogs. Decides nothing: the caller gives the SQL.
"""

from __future__ import annotations

from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgwire.errors import RemoteProtocolError
from pgwire.framing import FrameReader
from pgwire.messages.query import decode_error, decode_parameter_status, encode_query
from pgwire.messages.results import decode_data_row

__all__ = ["QueryFailed", "run_query"]

_MOST_BYTES = 1024 * 1024

Row = tuple[str | None, ...]


class QueryFailed(Exception):
    """The server answered with an error; the text is its SQLSTATE and message."""


async def run_query(link: Link, sql: str, reported: dict[str, str] | None = None) -> list[Row]:
    """The rows of the result. `reported` gets the parameters that the server reports as changed.

    Raises QueryFailed, LinkClosed or RemoteProtocolError.

    After any exception but QueryFailed, cancellation included, the link must not be used again.
    """
    reader = FrameReader(lambda _: _MOST_BYTES)
    link.write(encode_query(sql.encode()))
    rows: list[Row] = []
    error: str | None = None
    while True:
        data = await link.receive()
        if not data:
            raise LinkClosed
        for frame in reader.feed(data):
            match chr(frame.kind):
                case "D":
                    rows.append(_row(frame.body))
                case "E":
                    fields = decode_error(frame.body)
                    error = f"{fields.get('C')}: {fields.get('M')}"
                case "Z":
                    if error is not None:
                        raise QueryFailed(error)
                    return rows
                case "S" if reported is not None:
                    name, value = decode_parameter_status(frame.body)
                    reported[name] = value
                case "T" | "C" | "S" | "N" | "A":
                    pass
                case kind:
                    raise RemoteProtocolError(f"message of type {kind!a} in the answer to a query")


def _row(body: bytes) -> Row:
    return tuple([None if value is None else value.decode("utf-8", "replace") for value in decode_data_row(body)])
