"""Takes the lines of a segment apart into tables, in DuckDB: the pieces that the views are made of.

Decides what the pieces are, and that an execution is joined with its outcome here, once, where both are in the same
segment. Decides what is no record: a line that is no JSON object with `seq`, `time` and `type`. Does not know where
segments are, and where pieces are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pgjit.audit.reading.record_columns import EXECUTION, OUTCOME, STRUCTURE, VERSION

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["PIECES", "Counts", "create_pieces", "literal", "take_apart"]

_USUAL_LINE: Final = 16 << 20  # the reader takes twice as much memory for each thread
_LARGEST_LINE: Final = 128 << 20

# Each piece with its query. `staged` has one row for each record of the segment.
_EXECUTION_COLUMNS = ", ".join(f"e.{name}" for name in EXECUTION)
_OUTCOME_COLUMNS = ", ".join(f"o.{name}" for name in OUTCOME)
_KNOWN = f"v = {VERSION}"
PIECES: Final[dict[str, str]] = {
    # executions with their outcome
    "finished": f"""
        SELECT journal, {_EXECUTION_COLUMNS}, o.seq AS outcome_seq, o.time AS ended_at, {_OUTCOME_COLUMNS}
        FROM staged e JOIN (SELECT * FROM staged WHERE type = 'outcome' AND {_KNOWN}) o USING (journal, execution)
        WHERE e.type = 'execution' AND e.{_KNOWN} ORDER BY e.seq""",
    # executions whose outcome is not in this segment
    "waiting": f"""
        SELECT journal, {_EXECUTION_COLUMNS} FROM staged e
        ANTI JOIN (SELECT execution FROM staged WHERE type = 'outcome' AND {_KNOWN}) o USING (execution)
        WHERE type = 'execution' AND {_KNOWN} ORDER BY seq""",
    # outcomes whose execution is not in this segment
    "late": f"""
        SELECT journal, execution, o.seq AS outcome_seq, o.time AS ended_at, {_OUTCOME_COLUMNS}
        FROM staged o
        ANTI JOIN (SELECT execution FROM staged WHERE type = 'execution' AND {_KNOWN}) e USING (execution)
        WHERE type = 'outcome' AND {_KNOWN} ORDER BY seq""",
    # all other records
    "events": """
        SELECT journal, v, seq, time, type,
          CASE WHEN identity LIKE '{%' THEN concat(identity::JSON ->> 'tid', '/', identity::JSON ->> 'oid')
            ELSE identity END AS identity,
          CASE WHEN identity LIKE '{%' THEN identity::JSON ->> 'oid' ELSE split_part(identity, '/', 2) END AS oid,
          CASE WHEN identity LIKE '{%' THEN identity::JSON ->> 'display' END AS display,
          policy, CASE WHEN "window" LIKE '{%' THEN "window"::JSON ->> 'id' ELSE "window" END AS "window",
          session, connection, request, source, reason, record
        FROM staged WHERE type NOT IN ('execution', 'outcome') ORDER BY seq""",
    # the lines of executions and outcomes, as they were written
    "lines": """
        SELECT journal, v, seq, time, type, execution, record
        FROM staged WHERE type IN ('execution', 'outcome') ORDER BY seq""",
}  # fmt: skip


class Counts(NamedTuple):
    """`records`: lines that are records. `other`: lines that are none. `unknown`: records of another version.

    `damage`: why there may be fewer than were written.
    """

    records: int
    other: int
    unknown: int
    damage: str | None = None


def literal(text: str) -> str:
    """`text` as a constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def take_apart(connection: DuckDBPyConnection, path: Path, journal: str) -> Counts:
    """Replace the temporary table `staged` by the lines of the file. Raises duckdb.Error."""
    import duckdb

    connection.execute("DROP TABLE IF EXISTS staged")
    try:
        connection.execute(_staging(path, journal, _USUAL_LINE))
    except duckdb.InvalidInputException as fault:
        if "maximum_object_size" not in str(fault):
            raise
        connection.execute(_staging(path, journal, _LARGEST_LINE))
    whole = "seq IS NOT NULL AND time IS NOT NULL AND type IS NOT NULL"
    row = connection.execute(
        f"SELECT count(*) FILTER ({whole}), count(*) FILTER (NOT ({whole})), "
        f"count(*) FILTER ({whole} AND v IS DISTINCT FROM {VERSION}) FROM staged"
    ).fetchone()
    assert row is not None
    counts = Counts(*row)
    if counts.other:
        connection.execute(f"DELETE FROM staged WHERE NOT ({whole})")
    return counts


def _staging(path: Path, journal: str, largest: int) -> str:
    compression = "zstd" if path.suffix == ".zst" else "none"
    lines = (
        f"read_ndjson_objects({literal(str(path))}, ignore_errors = true, maximum_object_size = {largest}, "
        f"compression = '{compression}')"
    )
    return (
        f"CREATE TEMP TABLE staged AS SELECT {literal(journal)} AS journal, json AS record, members.* "
        f"FROM (SELECT json, from_json(json, {literal(STRUCTURE)}) AS members FROM {lines})"
    )


def create_pieces(connection: DuckDBPyConnection, schema: str) -> None:
    """Empty tables of all pieces in `schema`, to which segments without a cache are added."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE staged AS SELECT ''::VARCHAR AS journal, ''::JSON AS record, members.* "
        f"FROM (SELECT from_json('{{}}'::JSON, {literal(STRUCTURE)}) AS members) LIMIT 0"
    )
    for piece, query in PIECES.items():
        connection.execute(f"CREATE TABLE {schema}.{piece} AS {query}")
