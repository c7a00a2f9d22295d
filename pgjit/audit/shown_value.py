"""How one value of a parameter or a result is written: decoded by its type where that is certain, or bytes. Pure."""

from __future__ import annotations

import base64

from pgjit.audit.binary_values import TEXTS, Undecoded, decoded, type_name

__all__ = ["format_at", "shown_value"]

_BINARY, _EXPRESSION = 1, 2


def format_at(formats: tuple[int, ...], index: int) -> int:
    """The format of a value, as in Bind: no formats mean text, one format is for all values."""
    if len(formats) == 1:
        return formats[0]
    return formats[index] if index < len(formats) else 0


def shown_value(value: bytes, format_: int, type_: int, *, whole: bool = True) -> object:
    """As records have it. `whole`: not only its beginning."""
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
