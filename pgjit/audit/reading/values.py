"""A value of a result as JSON, and as the text of a cell. Pure.

Decides that times are written as in the journal, that JSON columns are JSON and not a text with JSON in it, and that
no text controls a terminal or is a formula for a spreadsheet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from pgjit.audit.reading.reader import Rows

__all__ = ["as_documents", "cell", "csv_cell", "json_value", "shortened", "shortened_value", "time_of"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_documents(rows: Rows) -> list[dict[str, object]]:
    """Each row as a JSON object, without the members that are null."""
    return [
        {
            name: json_value(value, is_json=name in rows.json_columns)
            for name, value in zip(rows.columns, row, strict=True)
            if value is not None
        }
        for row in rows.rows
    ]


def shortened(documents: Iterable[Mapping[str, object]], most: int) -> list[dict[str, object]]:
    """The documents with texts of at most `most` characters: longer ones are cut, other values that are written
    longer are left out. `shortened` of a document names these members."""
    return [_shortened(each, most) for each in documents]


def _shortened(document: Mapping[str, object], most: int) -> dict[str, object]:
    kept: dict[str, object] = {}
    cut: list[str] = []
    for name, value in document.items():
        if len(value if isinstance(value, str) else json.dumps(value)) <= most:
            kept[name] = value
            continue
        cut.append(name)
        if isinstance(value, str):
            kept[name] = value[:most]
    return {**kept, "shortened": cut} if cut else kept


def shortened_value(value: object, most: int) -> object:
    """A text, or another value that is written longer, as at most `most` characters and an ellipsis."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= most else f"{text[:most]}…"


def json_value(value: object, *, is_json: bool = False) -> object:
    match value:
        case str() if is_json:
            return json.loads(value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else str(value)  # infinity and NaN are no JSON
        case datetime():
            return time_of(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(name): json_value(item) for name, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def time_of(moment: datetime) -> str:
    """As the journal writes it. Moments without a zone are UTC."""
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


def cell(value: object) -> str:
    """As one text for a table; nothing for null."""
    value = json_value(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def csv_cell(value: object) -> str:
    """As `cell`; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = cell(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
