"""The form in the body of a POST: its fields, checked one by one.

Decides how a form is read and what a field may be. A fault names the field and what is accepted, and never repeats
the value. Whether the call may be made at all is decided before: `page.py` checks the CSRF token.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl

from pgjit.console.refusals import FieldFault, FormRefused
from pgjit.policy.durations import parse_duration

__all__ = ["FORM_TYPE", "PageForm", "read_form"]

FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 100
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ONE_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PageForm:
    """The fields of a form. Browsers send line ends as CR LF; they are read as LF."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def get(self, name: str, *, most: int = 1000) -> str | None:
        """The value without blanks around it; None for an absent or empty one. Raises FieldFault."""
        values = self._fields.get(name, [])
        if len(values) > 1:
            raise FieldFault(name, "It was sent more than once.")
        value = values[0].replace("\r\n", "\n").strip(" \t\n") if values else ""
        if len(value) > most:
            raise FieldFault(name, f"It may have at most {most} characters.")
        if _CONTROL.search(value):
            raise FieldFault(name, "It must not have control characters.")
        return value or None

    def text(self, name: str, *, most: int = 1000) -> str:
        """The value, which must not be empty. Raises FieldFault."""
        value = self.get(name, most=most)
        if value is None:
            raise FieldFault(name, "It must not be empty.")
        return value

    def line(self, name: str, *, most: int = 200) -> str:
        """A value of one line, which must not be empty. Raises FieldFault."""
        value = self.text(name, most=most)
        if _ONE_LINE.search(value):
            raise FieldFault(name, "It must be one line.")
        return value

    def number(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number; None for an absent or empty one. Raises FieldFault."""
        value = self.get(name, most=20)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", value) or not least <= int(value) <= most:
            raise FieldFault(name, f"It must be a whole number from {least} to {most}.")
        return int(value)

    def duration(self, name: str, *, most: int | None = None) -> int | None:
        """A length of time such as `30m`, as whole seconds; None for an absent or empty one. Raises FieldFault.

        `most`: seconds.
        """
        value = self.get(name, most=20)
        if value is None:
            return None
        try:
            seconds = int(parse_duration(value.replace(" ", "").lower()).total_seconds())
        except ValueError as fault:
            raise FieldFault(name, f"It {fault}.") from None
        if most is not None and seconds > most:
            raise FieldFault(name, f"It may be at most {most} seconds.")
        return seconds

    def choice(self, name: str, allowed: Collection[str]) -> str:
        """One of `allowed`. Raises FieldFault."""
        value = self.get(name)
        if value is None or value not in allowed:
            raise FieldFault(name, f"It must be one of: {', '.join(sorted(allowed))}.")
        return value

    def checked(self, name: str) -> bool:
        """Whether a check box was ticked."""
        return bool(self._fields.get(name))

    def values(self, name: str) -> list[str]:
        """All values of a field that may come several times."""
        return list(self._fields.get(name, []))


def read_form(kind: str, body: bytes) -> PageForm:
    """`kind`: the header `content-type`. An empty body is an empty form. Raises FormRefused."""
    if body and kind.split(";", maxsplit=1)[0].strip().lower() != FORM_TYPE:
        raise FormRefused(f"The body must be {FORM_TYPE}.", status=415)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise FormRefused("The body is malformed, or has too many fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return PageForm(fields)
