"""The sign-ins of an SQL store: each method is one transaction of a work function."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from pgjit.grants.sign_in import KeptSignIn
from pgjit.grants.stores.schema import from_micros, to_micros
from pgjit.grants.stores.sign_in_schema import sign_ins
from pgjit.identity.identity import IdentityKey

__all__ = ["SignInSqlStore"]

T = TypeVar("T")


class SignInSqlStore:
    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def keep_sign_in(self, sign_in: KeptSignIn, *, at_most: int) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.delete(sign_ins).where(sign_ins.c.ends_at < to_micros(sign_in.opened_at)))
            connection.execute(sa.insert(sign_ins).values(**_row(sign_in)))
            own = sa.select(sign_ins.c.id).where(
                sign_ins.c.tid == sign_in.identity.tid, sign_ins.c.oid == sign_in.identity.oid
            )
            oldest = own.order_by(sign_ins.c.opened_at.desc(), sign_ins.c.id).offset(at_most).limit(1_000_000)
            connection.execute(sa.delete(sign_ins).where(sign_ins.c.id.in_(oldest)))

        await self._transaction(work)

    async def sign_in(self, sign_in_id: str) -> KeptSignIn | None:
        def work(connection: sa.Connection) -> KeptSignIn | None:
            row = connection.execute(sa.select(sign_ins).where(sign_ins.c.id == sign_in_id)).one_or_none()
            if row is None:
                return None
            return KeptSignIn(
                id=row.id,
                identity=IdentityKey(row.tid, row.oid),
                opened_at=from_micros(row.opened_at),
                seen_at=from_micros(row.seen_at),
                ends_at=from_micros(row.ends_at),
                sealed=row.sealed,
            )

        return await self._read(work)

    async def note_sign_in_use(self, sign_in_id: str, at: datetime) -> None:
        seen = to_micros(at)
        change = sa.update(sign_ins).where(sign_ins.c.id == sign_in_id, sign_ins.c.seen_at < seen)
        await self._transaction(lambda connection: connection.execute(change.values(seen_at=seen)))

    async def claim_sign_in_renewal(self, sign_in_id: str, now: datetime, until: datetime) -> bool:
        free = sa.or_(sign_ins.c.renewing_until.is_(None), sign_ins.c.renewing_until <= to_micros(now))
        change = sa.update(sign_ins).where(sign_ins.c.id == sign_in_id, free)
        values = {"renewing_until": to_micros(until)}
        return await self._transaction(lambda connection: connection.execute(change.values(values)).rowcount == 1)

    async def replace_sign_in_tokens(self, sign_in_id: str, sealed: str) -> None:
        change = sa.update(sign_ins).where(sign_ins.c.id == sign_in_id).values(sealed=sealed, renewing_until=None)
        await self._transaction(lambda connection: connection.execute(change))

    async def end_sign_in(self, sign_in_id: str) -> bool:
        gone = sa.delete(sign_ins).where(sign_ins.c.id == sign_in_id)
        return await self._transaction(lambda connection: connection.execute(gone).rowcount == 1)


def _row(sign_in: KeptSignIn) -> dict[str, object]:
    return {
        "id": sign_in.id,
        "tid": sign_in.identity.tid,
        "oid": sign_in.identity.oid,
        "opened_at": to_micros(sign_in.opened_at),
        "seen_at": to_micros(sign_in.seen_at),
        "ends_at": to_micros(sign_in.ends_at),
        "sealed": sign_in.sealed,
    }
