"""The columns, parameters and rows of a result: RowDescription, ParameterDescription, DataRow.

The relay does not read them: it counts rows by their frames. They are here for logins, catalogs and tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, counted, cstring, message, packed, values

__all__ = [
    "Field",
    "decode_data_row",
    "decode_parameter_description",
    "decode_row_description",
    "encode_data_row",
    "encode_parameter_description",
    "encode_row_description",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result."""

    name: bytes
    table: int  # object id of the column's table; 0 if it has none
    column: int  # its attribute number in that table; 0 if it has none
    type: int  # object id
    size: int  # negative: of variable width
    modifier: int
    format: int  # 0 text, 1 binary; also 0 if not known yet


def decode_row_description(body: bytes) -> tuple[Field, ...]:
    reader = BodyReader(body)
    fields = tuple([_field(reader) for _ in range(reader.count())])
    reader.end()
    return fields


def _field(reader: BodyReader) -> Field:
    name, table, column = reader.string(), reader.uint32(), reader.int16()
    kind, size, modifier, code = reader.uint32(), reader.int16(), reader.int32(), reader.int16()
    if code not in (0, 1):
        raise RemoteProtocolError("format code that does not exist")
    return Field(name, table, column, kind, size, modifier, code)


def encode_row_description(fields: tuple[Field, ...]) -> bytes:
    rows = [
        cstring(one.name) + packed("IhIhih", one.table, one.column, one.type, one.size, one.modifier, one.format)
        for one in fields
    ]
    return message(b"T", packed("H", len(fields)), *rows)


def decode_parameter_description(body: bytes) -> tuple[int, ...]:
    """The object ids of the parameters' types."""
    reader = BodyReader(body)
    types = reader.uint32s(reader.count())
    reader.end()
    return types


def encode_parameter_description(types: tuple[int, ...]) -> bytes:
    return message(b"t", counted("I", types))


def decode_data_row(body: bytes) -> tuple[bytes | None, ...]:
    reader = BodyReader(body)
    row = reader.values()
    reader.end()
    return row


def encode_data_row(row: tuple[bytes | None, ...]) -> bytes:
    return message(b"D", values(row))
