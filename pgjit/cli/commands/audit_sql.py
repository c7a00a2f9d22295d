"""`pgjit audit sql`: a SELECT over the journal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.audit_settings import AsCsv, AsJson, Audit, CacheFolder, ConfigPath, Folders

__all__ = ["sql"]


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; `-` reads it from standard input.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="At most so many rows.")] = 1000,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """Query the journal in SQL: the views executions, windows, sessions, requests, logins and records.

    The SQL is DuckDB's. Times are UTC, without a zone. Nothing can be changed, and nothing but the views can be read.

     pgjit audit sql "SELECT display, sum(rows) FROM executions GROUP BY ALL"
    """
    from pgjit.audit.reading.faults import QueryRefused
    from pgjit.audit.reading.user_query import run_query
    from pgjit.cli.audit_output import printed_as_data
    from pgjit.cli.audit_texts import value_table
    from pgjit.cli.caret import pointed
    from pgjit.cli.printing import width

    text = sys.stdin.read() if query == "-" else query
    audit = Audit(folders, config, cache)
    with audit.opened() as reader:
        try:
            rows = run_query(reader, text, most=limit)
        except QueryRefused as refused:
            if refused.position is not None:
                print(pointed(text, refused.position, width()), file=sys.stderr)
            raise
        if not printed_as_data(rows, complete=not reader.notices, as_json=as_json, as_csv=as_csv):
            print(value_table(rows.columns, rows.rows, width()))
            more = f"; there are more: --limit {limit} ended it" if rows.more else ""
            print(f"({len(rows.rows)} row{'' if len(rows.rows) == 1 else 's'}{more})")
    return audit.status
