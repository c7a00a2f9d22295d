"""The table of the sign-ins to the console."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from pgjit.grants.stores.schema import metadata

__all__ = ["sign_ins"]

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tid", Text, nullable=False),
    Column("oid", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("renewing_until", BigInteger),  # a worker renews the tokens; None: nobody does
    Column("sealed", Text, nullable=False),
)
Index("sign_ins_by_identity", sign_ins.c.tid, sign_ins.c.oid, sign_ins.c.opened_at)
Index("sign_ins_by_end", sign_ins.c.ends_at)
