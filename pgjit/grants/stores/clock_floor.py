"""The latest moment in the store: a process whose clock was set back knows it by that."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from pgjit.grants.stores.schema import clock, from_micros, to_micros

__all__ = ["latest_moment", "note_moment"]

_SEEN = sa.select(clock.c.seen_at)


def latest_moment(connection: sa.Connection) -> datetime | None:
    micros = connection.execute(_SEEN).scalar_one_or_none()
    return None if micros is None else from_micros(micros)


def note_moment(connection: sa.Connection, moment: datetime) -> None:
    seen_at = to_micros(moment)
    connection.execute(
        insert(clock)
        .values(id=1, seen_at=seen_at)
        .on_conflict_do_update(index_elements=["id"], set_={"seen_at": seen_at}, where=clock.c.seen_at < seen_at)
    )
