"""The table of denials: principals that a directory denied. Decides nothing: the caller gives their expiry."""

from __future__ import annotations

from datetime import datetime

import orjson
import sqlalchemy as sa

from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.schema import denials, from_micros, to_micros
from pgjit.identity.directory import DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKey

__all__ = ["drop", "keep", "kept"]

_KEY = ("tid", "oid", "is_user", "acting")


def keep(connection: sa.Connection, principal: Principal, answer: DirectoryAnswer, until: datetime) -> None:
    """Insert or replace the denial, and delete those that have expired."""
    connection.execute(sa.delete(denials).where(denials.c.keep_until < to_micros(answer.at)))
    values = {
        "at": to_micros(answer.at),
        "state": answer.state.value,
        "groups": orjson.dumps(sorted(answer.groups)).decode(),
        "keep_until": to_micros(until),
    }
    connection.execute(
        upsert(connection, denials)
        .values(**_key(principal), **values)
        .on_conflict_do_update(index_elements=_KEY, set_=values, where=denials.c.at <= values["at"])
    )


def drop(connection: sa.Connection, principal: Principal) -> None:
    key = _key(principal)
    connection.execute(sa.delete(denials).where(*(denials.c[name] == value for name, value in key.items())))


def kept(connection: sa.Connection, now: datetime) -> list[tuple[Principal, DirectoryAnswer]]:
    rows = connection.execute(sa.select(denials).where(denials.c.keep_until >= to_micros(now)).order_by(denials.c.at))
    return [
        (
            Principal(IdentityKey(row.tid, row.oid), row.is_user, row.acting),
            DirectoryAnswer(
                at=from_micros(row.at),
                state=PrincipalState(row.state),
                groups=frozenset(GroupId(each) for each in orjson.loads(row.groups)),
            ),
        )
        for row in rows
    ]


def _key(principal: Principal) -> dict[str, str | bool]:
    key = principal.key
    return {"tid": key.tid, "oid": key.oid, "is_user": principal.is_user, "acting": principal.acting}
