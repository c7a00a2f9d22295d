"""The latest moment in the store: a process whose clock was set back knows it by that."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.schema import clock, from_micros, to_micros

__all__ = ["is_late", "latest_moment", "note_idle_moment", "note_later_moment", "note_moment"]

_EVERY = timedelta(seconds=1)
_EVERY_IDLE = timedelta(seconds=10)
"""How much longer a window may get, at most, if the clock is set back over a restart while nobody logs in."""
_SEEN = sa.select(clock.c.seen_at)


def latest_moment(connection: sa.Connection) -> datetime | None:
    micros = connection.execute(_SEEN).scalar_one_or_none()
    return None if micros is None else from_micros(micros)


def note_moment(connection: sa.Connection, moment: datetime, *, exactly: bool = False) -> None:
    """Note the moment; it may be a second late, so that the row is written, and waited for, once a second.

    `exactly`: something was decided from this moment that an earlier one would not have decided.
    """
    note_later_moment(connection, latest_moment(connection), moment, exactly=exactly)


def is_late(seen: datetime | None, moment: datetime) -> bool:
    """Whether the moment is to be noted, if `seen` is the latest in the store."""
    return seen is None or moment >= seen + _EVERY


def note_later_moment(
    connection: sa.Connection, seen: datetime | None, moment: datetime, *, exactly: bool = False
) -> None:
    """As `note_moment`, where `seen` was read already."""
    if not is_late(seen, moment) and not (exactly and (seen is None or moment >= seen)):
        return
    seen_at = to_micros(moment)
    connection.execute(
        upsert(connection, clock)
        .values(id=1, seen_at=seen_at)
        .on_conflict_do_update(index_elements=["id"], set_={"seen_at": seen_at}, where=clock.c.seen_at < seen_at)
    )


def note_idle_moment(connection: sa.Connection, moment: datetime) -> None:
    """Note a moment at which nothing was decided: more seldom, so that an idle proxy writes little."""
    seen = latest_moment(connection)
    if seen is None or moment >= seen + _EVERY_IDLE:
        note_moment(connection, moment)
