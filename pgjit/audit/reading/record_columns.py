"""The members of records as columns: which there are, and of which type.

Decides what of a line becomes a column for DuckDB, and which version of records is understood. Pure.
"""

from __future__ import annotations

import json
from typing import Final

__all__ = ["EVENT", "EXECUTION", "LINE", "OUTCOME", "STRUCTURE", "VERSION"]

VERSION: Final = 1
"""The `v` of records that this reader understands. Others are only in the view `records`."""

_HEAD: Final = {"v": "INTEGER", "seq": "BIGINT", "time": "TIMESTAMP", "type": "VARCHAR"}
# `identity` and `window` are a text in one record and an object in another: as a column both are text.
_SHARED: Final = {
    "identity": "VARCHAR",
    "policy": "VARCHAR",
    "window": "VARCHAR",
    "session": "VARCHAR",
    "connection": "VARCHAR",
    "request": "VARCHAR",
    "source": "VARCHAR",
    "reason": "VARCHAR",
    "execution": "VARCHAR",
}
_EXECUTION: Final = {
    "protocol": "VARCHAR",
    "decision": "VARCHAR",
    "kind": "VARCHAR",
    "statement": "VARCHAR",
    "statement_bytes": "BIGINT",
    "normalised": "VARCHAR",
    "fingerprint": "VARCHAR",
    "reads": ["VARCHAR"],
    "writes": ["VARCHAR"],
    "calls": ["VARCHAR"],
    "about": "VARCHAR",
    "violations": "JSON",
    "prepared_as": "VARCHAR",
    "through": ["VARCHAR"],
    "unresolved": "VARCHAR",
    "parameters": "JSON",
}
_OUTCOME: Final = {
    "ended": "VARCHAR",
    "command": "VARCHAR",
    "rows": "BIGINT",
    "bytes": "BIGINT",
    "received": "BIGINT",
    "sqlstate": "VARCHAR",
    "message": "VARCHAR",
    "first_row_us": "BIGINT",
    "duration_us": "BIGINT",
}

STRUCTURE: Final = json.dumps({**_HEAD, **_SHARED, **_EXECUTION, **_OUTCOME})
"""What `from_json` reads of a line."""

LINE: Final = ("seq", "time", "type", "record")
EXECUTION: Final = (
    "seq", "time", "identity", "policy", "\"window\"", "execution", *_EXECUTION,
)  # fmt: skip
OUTCOME: Final = tuple(_OUTCOME)
EVENT: Final = (
    "seq", "time", "type", "identity", "oid", "display", "policy", "\"window\"", "session", "connection", "request",
    "source", "reason", "record",
)  # fmt: skip
