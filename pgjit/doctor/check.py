"""One check: a question to the server, and what its rows mean. The contract of `checks/`.

The question is asked in a read-only transaction whose search_path is `pg_catalog`. `$1` in it stands for the grantees
whose rights the login role has, `$2` for the schemas of the pinned search_path.
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
    name: str  # what was looked at, in words
    sql: str
    row: Callable[..., Row]  # made of the columns by their names
    findings: Callable[[Sequence[Row], Subject], Iterator[Finding]]
    since: int = 0  # the first server version that can answer

    def read(self, records: Sequence[Mapping[str, Any]], subject: Subject) -> tuple[Finding, ...]:
        rows = [self.row(**record) for record in records]
        return tuple(self.findings(rows, subject))


def written_out(sql: str, roles: Sequence[int], schemas: Sequence[str] = ()) -> str:
    """`sql` with `$1` and `$2` as literals, read as `oid[]` and `text[]`. Needs standard_conforming_strings."""
    quoted = ", ".join("'" + schema.replace("'", "''") + "'" for schema in schemas)
    return sql.replace("$1", "'{" + ",".join(map(str, roles)) + "}'").replace("$2", f"ARRAY[{quoted}]")
