"""One result, from its first row to the line that is kept of it. Pure.

Decides where a result is cut, how its values are written, and which of them are redacted: those of a column that is
redacted, or whose origin is not known where the statement may use a redacted one.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, count
from struct import Struct
from typing import Any

from pgjit.audit.binary_values import type_name
from pgjit.audit.record_json import as_json, as_members
from pgjit.audit.shown_value import format_at, shown_value
from pgjit.policy.policy import ResultCaps
from pgjit.policy.redaction import Redaction
from pgwire.errors import RemoteProtocolError
from pgwire.messages.results import Field, decode_data_row, decode_row_description

__all__ = ["ResultCapture", "ResultReference"]

_REDACTED = "[redacted]"

_COPY = 0x64
_HEADER = 5
_LENGTH = Struct(">i").unpack_from
_BYTES = "\0bytes"
_TEXT = 25


@dataclass(frozen=True, slots=True)
class ResultReference:
    """Where a result is kept."""

    file: str
    offset: int
    bytes: int
    sha256: str


class ResultCapture:
    """The result of one execution. `reference` is set when it is kept; `failed`, if it could not be."""

    __slots__ = (
        "_all_text", "_caps", "_copied", "_encoded", "_execution", "_fields", "_given", "_left", "_open",
        "_redaction", "_size", "_tail", "columns", "failed", "formats", "kept", "reference", "rows",
    )  # fmt: skip

    def __init__(
        self,
        execution: str,
        caps: ResultCaps,
        redaction: Redaction | None,
        open_origins: frozenset[tuple[int, int]] | None,
    ) -> None:
        """`open_origins`: the origins of columns that are not redacted; None if no column is."""
        self._execution = execution
        self._caps = caps
        self._redaction = redaction
        self._open = open_origins
        self._tail = b""  # the beginning of a message
        self._encoded: list[bytes] = []  # rows, some at a time
        self._size = 0
        self._fields: tuple[Field, ...] | None = None
        self._given: tuple[int, ...] = (0,)  # formats
        self._all_text = True
        self._copied = False
        self._left = False  # a row was left out
        self.rows = 0  # that came
        self.kept = 0  # that the line has
        self.columns: bytes | None = None  # the body of the RowDescription; None: the client never asked for it
        self.formats: tuple[int, ...] | None = None  # as in Bind; None: those of the RowDescription
        self.reference: ResultReference | None = None
        self.failed = False

    def add(self, data: bytes, rows: int) -> None:
        """Bytes of DataRow and CopyData messages, whole or in part, as the client gets them.

        They are written as JSON at once, so that no large result is written in one go.
        """
        if not self.full:
            if self.empty:
                self._begin()
            self._size += len(data)
            if batch := self._whole_rows(self._tail + data):
                self._encode(batch)
        self.rows += rows

    @property
    def full(self) -> bool:
        """Nothing more is kept of it."""
        return self._left or self._size > self._caps.bytes

    @property
    def empty(self) -> bool:
        return not self.rows and not self._size

    @property
    def waiting(self) -> bool:
        """It has rows that are not kept yet."""
        return not self.empty and self.reference is None and not self.failed

    def members(self) -> dict[str, object]:
        """In the record of its outcome."""
        if self.reference is None:
            return {"kept": False}
        where = self.reference
        members: dict[str, object] = {
            "file": where.file, "offset": where.offset, "bytes": where.bytes, "sha256": where.sha256,
        }  # fmt: skip
        members["rows"] = self.kept
        return {**members, "truncated": True} if self.kept < self.rows else members

    def line(self) -> bytes:
        """What is kept, as a line of JSON with its newline. The rows are given up."""
        rows, self._encoded, self._tail = b",".join(self._encoded), [], b""
        head = as_members({"execution": self._execution, "columns": self._columns()})
        return b'{%s,"rows":[%s]}\n' % (head, rows)

    def _whole_rows(self, data: bytes) -> list[list[Any]]:
        """Those of the whole messages in `data` that are kept."""
        rows: list[list[Any]] = []
        at, end, size = 0, 0, len(data)
        room = self._caps.rows - self.kept
        while at + _HEADER <= size:
            end = at + 1 + int.from_bytes(data[at + 1 : at + _HEADER])
            if end > size:
                break
            if len(rows) == room or self._size - (size - end) > self._caps.bytes:
                self._left = True
                break
            self._copied = data[at] == _COPY
            body = data[at + _HEADER : end]
            rows.append([_text(body)] if self._copied else self._row(body))
            at = end
        self._tail = data[at:]
        return rows

    def _encode(self, rows: list[list[Any]]) -> None:
        self.kept += len(rows)
        if self._open is not None:
            hidden = self._hidden()
            for row in rows:
                row[:] = [_REDACTED if hidden is None or hidden[at] else value for at, value in enumerate(row)]
        if self._redaction is not None and self._redaction.patterns:
            _search(rows, self._redaction)
        self._encoded.append(as_json(rows)[1:-1])

    def _hidden(self) -> list[bool] | None:
        """Whether each column is redacted. None: all are, whatever there are."""
        if self._fields is None or self._copied or self._open is None:
            return None
        return [(field.table, field.column) not in self._open for field in self._fields]

    def _row(self, body: bytes) -> list[Any]:
        """Not by `decode_data_row`, which takes five times as long."""
        try:
            values = _texts(body) if self._all_text else self._values(body)
        except UnicodeDecodeError:
            values = self._values(body)
        except RemoteProtocolError:
            return [_REDACTED] if self._open is not None else [{"base64": base64.b64encode(body).decode()}]
        if self._fields is not None and len(values) != len(self._fields):
            return [_REDACTED] if self._open is not None else values
        return values

    def _begin(self) -> None:
        """Before the first row: its columns are known by now, if the client asks for them at all."""
        self._fields = _fields(self.columns)
        formats = self.formats
        if formats is None and self._fields is not None:
            formats = tuple(field.format for field in self._fields)
        self._given = formats or (0,)
        self._all_text = not any(self._given)

    def _values(self, body: bytes) -> list[Any]:
        return [*map(self._value, count(), decode_data_row(body))]

    def _value(self, index: int, value: bytes | None) -> object:
        if value is None:
            return None
        type_ = self._fields[index].type if self._fields is not None and index < len(self._fields) else 0
        return shown_value(value, format_at(self._given, index), type_)

    def _columns(self) -> list[dict[str, object]] | None:
        if self._copied:
            return [{"name": "copy", "type": "text", **({} if self._open is None else {"redacted": True})}]
        if self._fields is None:
            return None
        hidden = self._hidden() or [False] * len(self._fields)
        shown: list[dict[str, object]] = []
        for field, hides in zip(self._fields, hidden, strict=True):
            name = field.name.decode(errors="replace")
            if self._redaction is not None and self._redaction.is_in(name):
                name = _REDACTED
            column: dict[str, object] = {"name": name, "type": type_name(field.type) or str(field.type)}
            shown.append({**column, "redacted": True} if hides else column)
        return shown


def _fields(body: bytes | None) -> tuple[Field, ...] | None:
    try:
        return None if body is None else decode_row_description(body)
    except RemoteProtocolError:
        return None


def _text(body: bytes) -> object:
    return shown_value(body, 0, _TEXT)


def _texts(body: bytes) -> list[Any]:
    """The values of a row in text format."""
    at, size, values = 2, len(body), list[Any]()
    for _ in range(body[0] << 8 | body[1] if size > 1 else 0):
        if at + 4 > size:
            raise RemoteProtocolError("a row that is cut")
        length = _LENGTH(body, at)[0]
        at += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[at : at + length].decode())
        at += length
    if at != size:
        raise RemoteProtocolError("a row that is cut")
    return values


def _search(rows: list[list[Any]], redaction: Redaction) -> None:
    """Leave out each value in which a pattern matches, and bytes, which cannot be searched: one search for all."""
    texts = [each if each.__class__ is str else _searchable(each) for row in rows for each in row]
    found = redaction.matches("\0".join(texts).encode("utf-8", "replace"))
    if not found and _BYTES not in texts:
        return
    ends = list(accumulate(len(each.encode("utf-8", "replace")) + 1 for each in texts))
    hidden = {
        number for start, end in found for number in range(bisect_right(ends, start), bisect_right(ends, end - 1) + 1)
    }
    number = 0
    for row in rows:
        for index, value in enumerate(row):
            if value is not None and (number in hidden or texts[number] is _BYTES):
                row[index] = _REDACTED
            number += 1


def _searchable(value: object) -> str:
    if value is None:
        return ""
    return _BYTES if isinstance(value, dict) and "base64" in value else as_json(value).decode()
