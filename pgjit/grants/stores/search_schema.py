"""The table of searches that people saved."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text, UniqueConstraint

from pgjit.grants.stores.schema import metadata

__all__ = ["saved_searches"]

saved_searches = Table(
    "saved_searches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tid", Text, nullable=False),
    Column("oid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    UniqueConstraint("tid", "oid", "name", name="a_person_has_a_search_of_a_name_once"),
)
