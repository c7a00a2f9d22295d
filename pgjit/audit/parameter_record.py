"""How bound values are written: decoded by their types where that is certain, else as bytes. Pure."""

from __future__ import annotations

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import kept
from pgjit.audit.record_json import as_json
from pgjit.audit.shown_value import format_at, shown_value

__all__ = ["parameter_members", "parameters_json"]


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
        shown = shown_value(value, format_at(parameters.formats, index), type_, whole=length is None)
        if length is not None:
            shown = {**(shown if isinstance(shown, dict) else {"text": shown}), "length": length}
        values.append(shown)
    whole = parameters.length is None and parameters.count == len(values)
    return {"values": values} if whole else {"count": parameters.count, "values": values, "truncated": True}


def parameters_json(parameters: Parameters) -> str:
    """The same as JSON. Whole values in text format, as most drivers send them, take a fraction of the time."""
    if parameters.formats in _TEXT and parameters.length is None and parameters.count == len(parameters.values):
        try:
            values = [None if value is None else value.decode() for value in parameters.values]
        except UnicodeDecodeError:
            pass  # those that are no text are written as bytes
        else:
            return f'{{"values":{as_json(values).decode()}}}'
    return as_json(parameter_members(parameters)).decode()


_TEXT = ((), (0,))
"""Formats of a Bind that mean text for all values."""
