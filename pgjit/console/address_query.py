"""The query in the address of a page: which names it may have, and what each may be.

Decides that a name that is not known is refused, as a name that comes twice: who misspells a filter must not take
everything for the answer. Empty fields of a form are left out, so that an address can be sent to a colleague.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from pgjit.console.refusals import FieldFault

__all__ = ["AddressQuery", "QueryField", "read_address_query"]

_MOST_FIELDS: Final = 50
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryField:
    """A text of at most `most` characters, of one line unless it may have `lines`. `choices`: the only values."""

    label: str
    hint: str = ""
    most: int = 200
    choices: tuple[tuple[str, str], ...] = ()
    lines: bool = False


@dataclass(frozen=True, slots=True)
class AddressQuery:
    """`given`: the values that are not empty. `clean`: whether the address has no others."""

    given: dict[str, str]
    clean: bool

    @property
    def text(self) -> str:
        return urlencode(self.given)

    def without(self, *names: str) -> AddressQuery:
        return AddressQuery({name: value for name, value in self.given.items() if name not in names}, self.clean)


def read_address_query(text: str, fields: Mapping[str, QueryField], *, also: Sequence[str] = ()) -> AddressQuery:
    """`text`: the query, without its question mark. `also`: names of short values that no form has.

    Raises FieldFault, which names the field and what is accepted.
    """
    known = {**{name: QueryField(label=name, most=512) for name in also}, **fields}
    given: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in _pairs(text):
        if name not in known:
            raise FieldFault(name[:60], f"There is none of this name here: they are {', '.join(known)}.")
        if name in seen:
            raise FieldFault(name, "It is in the address more than once.", label=known[name].label)
        seen.add(name)
        if trimmed := value.replace("\r\n", "\n").strip():
            given[name] = _checked(name, trimmed, known[name])
    return AddressQuery(given, clean=len(given) == len(seen))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise FieldFault(
            "query", "The address is malformed, or has too many fields.", label="query of the address"
        ) from None


def _checked(name: str, value: str, field: QueryField) -> str:
    if len(value) > field.most:
        raise FieldFault(name, f"It may have at most {field.most} characters.", label=field.label)
    if (_CONTROL_IN_LINES if field.lines else _CONTROL).search(value):
        raise FieldFault(name, "It must not have control characters.", label=field.label)
    values = [each for each, _ in field.choices if each]
    if values and value not in values:
        raise FieldFault(name, f"It must be one of: {', '.join(values)}.", label=field.label)
    return value
