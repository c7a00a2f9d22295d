"""Cursors: where the next page of a list begins. A caller passes one back unchanged.

Decides how a position is written as text. A cursor grants nothing: each page is filtered anew.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from pgjit.api.refusals import InvalidCall

__all__ = ["LIMIT", "MOST", "Position", "paged", "read_cursor", "write_cursor"]

LIMIT, MOST = 50, 200
_LONGEST = 512

T = TypeVar("T")


class Position(NamedTuple):
    """The last item of a page: lists are in the order of a moment, the latest first, and of ids within one."""

    at: datetime
    id: str


def write_cursor(position: Position) -> str:
    text = json.dumps([position.at.astimezone(UTC).isoformat(), position.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> Position | None:
    """Raises InvalidCall for a text that no page had."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        at, name = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(at)
        if not isinstance(name, str) or moment.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidCall(
            "`cursor` must be the `next` of an earlier page.", reference="invalid-cursor", status=400
        ) from None
    return Position(moment, name)


def paged(
    items: Sequence[T], position: Callable[[T], Position], cursor: Position | None, limit: int
) -> tuple[list[T], str | None]:
    """The items after `cursor`, at most `limit`, and the cursor of the next page; None if this is the last."""
    ordered = sorted(items, key=position, reverse=True)
    rest = [each for each in ordered if cursor is None or position(each) < cursor]
    page = rest[:limit]
    return page, write_cursor(position(page[-1])) if len(rest) > limit else None
