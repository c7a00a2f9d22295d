"""One check: a query to the server, and what its rows mean. The contract of the modules in `checks/`.

The query runs in a read-only transaction with `search_path = pg_catalog`. In it, `$1` stands for the roles whose
rights the login role has, and `$2` for the schemas of the sessions' search_path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pgjit.doctor.finding import Finding
from pgjit.doctor.subject import Subject

__all__ = ["Check", "written_out"]

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Check(Generic[Row]):
    name: str  # what the query reads, in words
    sql: str
    row: Callable[..., Row]  # called with the columns by name
    findings: Callable[[Sequence[Row], Subject], Iterator[Finding]]
    since: int = 0  # the first server version that can run the query

    def read(self, records: Sequence[Mapping[str, Any]], subject: Subject) -> tuple[Finding, ...]:
        rows = [self.row(**record) for record in records]
        return tuple(self.findings(rows, subject))


def written_out(sql: str, roles: Sequence[int], schemas: Sequence[str] = ()) -> str:
    """`sql` with `$1` and `$2` replaced by literals of `oid[]` and `text[]`. Needs standard_conforming_strings."""
    quoted = ", ".join("'" + schema.replace("'", "''") + "'" for schema in schemas)
    return sql.replace("$1", "'{" + ",".join(map(str, roles)) + "}'").replace("$2", f"ARRAY[{quoted}]")
