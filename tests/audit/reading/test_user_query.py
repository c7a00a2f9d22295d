"""A person's SELECT: what runs, what is refused before it runs, and where an error points to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.audit.reading.faults import QueryRefused
from pgjit.audit.reading.reader import Reader, opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.reading.user_query import run_query
from pgjit.console.pages.audit_sql import EXAMPLES, ExampleQuery
from tests.audit.reading.conftest import WrittenJournal
from tests.run.rows import table

RUN = (
    "SELECT count(*) FROM executions",
    "FROM windows LIMIT 1;",
    "WITH mine AS (SELECT * FROM sessions) SELECT count(*) FROM Mine",
    "WITH a AS (SELECT 1 AS n), b AS (FROM a) SELECT * FROM b, (WITH c AS (FROM b) FROM c, a)",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) FROM n",
    "FROM main.executions LIMIT 1",
    "SELECT * FROM executions e JOIN windows w USING (\"window\") LIMIT 1",
    "SELECT * FROM (VALUES (1), (2)) v(a), range(3) r(b), unnest([1]) u(c)",
    "SELECT * FROM executions e, LATERAL (SELECT e.seq + 1) LIMIT 1",
    "DESCRIBE executions",
    "SUMMARIZE logins",
    "SELECT 1 UNION ALL SELECT 2",
)  # fmt: skip
REFUSED = (
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT (SELECT count(*) FROM read_csv('/etc/passwd'))",
    "SELECT * FROM executions WHERE seq IN (FROM glob('*'))",
    "WITH a AS (SELECT * FROM parquet_scan('x')) SELECT * FROM a",
    "SELECT * FROM 'x.parquet'",
    "SELECT * FROM pieces.all_events",
    "SELECT * FROM (WITH sqlite_master AS (SELECT 1) FROM sqlite_master) a, sqlite_master",
    "WITH duckdb_tables AS (SELECT * FROM duckdb_tables) SELECT * FROM duckdb_tables",
    "WITH duckdb_views AS (SELECT 1) SELECT * FROM main.duckdb_views",
    "WITH a AS (FROM pragma_database_list), pragma_database_list AS (SELECT 1) FROM a",
    "SELECT * FROM memory.pieces.finished",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM query('SELECT 1')",
    "COPY executions TO '/tmp/x'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "SELECT 1; SELECT 2",
    "SET threads = 3",
    "ATTACH 'x'",
    "INSTALL httpfs",
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW executions",
    "PRAGMA database_list",
    "CALL enable_logging()",
    " ; ",
)


@table("sql", RUN)
def test_a_select_over_the_views_runs(reader: Reader, sql: str) -> None:
    assert run_query(reader, sql, most=5).columns


def test_a_query_has_the_day_and_the_time_of_utc_wherever_the_machine_is(
    written: WrittenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours before UTC
    now = "abs(epoch_us(current_localtimestamp()) - epoch_us(now())) < 1000000"
    with opened_reader([written.folder], SegmentCache(tmp_path / "cache")) as reader:
        found = run_query(reader, f"SELECT {now}, current_date = current_localtimestamp()::DATE", most=1)
    assert found.rows == [(True, True)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_examples_of_the_console_run(reader: Reader, example: ExampleQuery) -> None:
    assert run_query(reader, example.query, most=5).columns


@table("sql", REFUSED)
def test_everything_else_is_refused(reader: Reader, sql: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        run_query(reader, sql)
    assert refused.value.hint


def test_an_error_has_its_position(reader: Reader) -> None:
    rows = (
        ("selec 1", "selec"),
        ("SELECT 1,\n  'ü', nope\nFROM executions", "nope"),
        ("SELECT 1 FROM nothing", "nothing"),
        ("  SELECT * FROM glob('*')", "glob"),
    )
    for sql, at in rows:
        with pytest.raises(QueryRefused) as refused:
            run_query(reader, sql)
        assert (sql, refused.value.position) == (sql, sql.index(at) + 1)


def test_rows_are_bounded(reader: Reader) -> None:
    rows = run_query(reader, "SELECT * FROM range(10)", most=3)
    assert (len(rows.rows), rows.more) == (3, True)
    assert not run_query(reader, "SELECT * FROM range(3)", most=3).more
