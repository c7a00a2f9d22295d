"""What ran in some windows, in figures: for those who decide whether the same identity gets another one.

Decides what is counted: without what drivers ask the catalogs by themselves. The relations are those of statements
that were allowed, with the number of executions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.values import as_documents

__all__ = ["window_activity"]

_MOST_OBJECTS: Final = 20  # of each kind, for each window
_CHOSEN: Final = """list_contains($names, "window") AND about IS DISTINCT FROM 'catalog'"""
_FIGURES: Final = f"""
    SELECT "window", count(*) AS executions, count(*) FILTER (decision = 'deny') AS refused,
      count(*) FILTER (ended = 'failed') AS failed, coalesce(sum(rows), 0)::BIGINT AS rows,
      coalesce(sum(bytes), 0)::BIGINT AS bytes, max(duration_us) AS longest_us
    FROM executions WHERE {_CHOSEN} GROUP BY ALL"""
_OBJECTS: Final = f"""
    SELECT "window", use, name, count(*) AS times FROM (
      SELECT "window", 'reads' AS use, unnest(reads) AS name FROM executions WHERE {_CHOSEN} AND decision = 'allow'
      UNION ALL
      SELECT "window", 'writes' AS use, unnest(writes) AS name FROM executions WHERE {_CHOSEN} AND decision = 'allow')
    GROUP BY "window", use, name
    QUALIFY row_number() OVER (PARTITION BY "window", use ORDER BY times DESC, name) <= {_MOST_OBJECTS + 1}
    ORDER BY times DESC, name"""


def window_activity(reader: Reader, names: Sequence[str]) -> list[dict[str, object]]:
    """One entry for each of `names`, in their order. Raises duckdb.Error."""
    values = {"names": list(names)}
    figures = {str(row["window"]): row for row in as_documents(reader.query(_FIGURES, values))}
    used: dict[tuple[str, str], dict[str, int]] = {}
    for window, use, name, times in reader.query(_OBJECTS, values).rows:
        used.setdefault((window, use), {})[name] = times
    return [_activity(name, figures.get(name, {}), used) for name in names]


def _activity(
    name: str, figures: dict[str, object], used: dict[tuple[str, str], dict[str, int]]
) -> dict[str, object]:
    nothing = {"executions": 0, "refused": 0, "failed": 0, "rows": 0, "bytes": 0, "longest_us": None}
    reads, writes = used.get((name, "reads"), {}), used.get((name, "writes"), {})
    return {
        **nothing,
        **figures,
        "window": name,
        "reads": dict(list(reads.items())[:_MOST_OBJECTS]),
        "writes": dict(list(writes.items())[:_MOST_OBJECTS]),
        "objects_more": max(len(reads), len(writes)) > _MOST_OBJECTS,
    }
