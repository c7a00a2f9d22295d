"""How bound values are written: decoded by their types where that is certain, else as bytes. Pure."""

from __future__ import annotations

import base64

from pgjit.audit.binary_values import TEXTS, Undecoded, decoded, type_name
from pgjit.audit.event import Parameters
from pgjit.audit.parameters import kept

__all__ = ["parameter_members"]

_BINARY, _EXPRESSION = 1, 2


def parameter_members(parameters: Parameters) -> dict[str, object]:
    """`count` and `truncated` where some values, or the end of the last one, are left out."""
    parameters = kept(parameters)
    last = len(parameters.values) - 1
    values: list[object] = []
    for index, value in enumerate(parameters.values):
        length = parameters.length if index == last else None
        if value is None:
            values.append(None)
            continue
        type_ = parameters.types[index] if index < len(parameters.types) else 0
        shown = _value(value, _format(parameters.formats, index), type_, whole=length is None)
        if length is not None:
            shown = {**(shown if isinstance(shown, dict) else {"text": shown}), "length": length}
        values.append(shown)
    whole = parameters.length is None and parameters.count == len(values)
    return {"values": values} if whole else {"count": parameters.count, "values": values, "truncated": True}


def _value(value: bytes, format_: int, type_: int, *, whole: bool) -> object:
    if format_ == _BINARY and whole:
        try:
            return decoded(type_, value)
        except Undecoded:
            pass
    elif (format_ != _BINARY or type_ in TEXTS) and (text := _text(value, whole=whole)) is not None:
        return {"sql": text} if format_ == _EXPRESSION else text
    name = type_name(type_)
    return {"base64": base64.b64encode(value).decode(), **({} if name is None else {"type": name})}


def _text(value: bytes, *, whole: bool) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        # A cut may fall inside the last character; anything else is not text.
        if not whole and error.start >= len(value) - 3 and error.reason == "unexpected end of data":
            return value[: error.start].decode()
        return None


def _format(formats: tuple[int, ...], index: int) -> int:
    """The format of a value, as in Bind: no formats mean text, one format is for all values."""
    if len(formats) == 1:
        return formats[0]
    return formats[index] if index < len(formats) else 0
