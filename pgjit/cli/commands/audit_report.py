"""`pgjit audit report`: a period for an owner of data, or for an auditor."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.audit_settings import AsCsv, AsJson, Audit, CacheFolder, ConfigPath, Folders
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.audit.reading.report import AuditReport

__all__ = ["report"]

_PARTS = "activity, hours, access, denials, unused, kills, rows, late, population"


def report(
    part: Annotated[str | None, typer.Argument(help=f"One of {_PARTS}. Without it: all.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="From then on: 2026-11-28, yesterday, 30d.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Before then.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML page with plots that needs no other file.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """Report on a period: who had access, what was refused, which grants were unused, how sessions ended, rows read.

    Its last part counts the population and its gaps, for a sample. `--csv` prints one part.
    """
    from pgjit.audit.reading.moments import read_moment
    from pgjit.audit.reading.report import PARTS, make_report

    now = datetime.now(UTC)
    if part is not None and part not in PARTS:
        raise WrongUsage(f"a part of the report is one of {_PARTS}")
    if as_csv and part is None:
        raise WrongUsage("--csv prints one table: name the part")
    begin = None if since is None else read_moment(since, now, "--since")
    end = None if until is None else read_moment(until, now, "--until")
    audit = Audit(folders, config, cache)
    with audit.opened() as reader:
        made = make_report(reader, list(PARTS) if part is None else [part], begin, end, now)
    _print(made, html, as_json=as_json, as_csv=as_csv)
    return audit.status


def _print(made: AuditReport, html: Path | None, *, as_json: bool, as_csv: bool) -> None:
    from pgjit.audit.reading.report import PARTS
    from pgjit.cli.audit_html import report_page
    from pgjit.cli.audit_output import print_csv, print_json
    from pgjit.cli.audit_texts import value_table
    from pgjit.cli.printing import width

    if html is not None:
        html.touch(mode=0o600)
        html.write_text(report_page(made), encoding="utf-8")
        print(f"wrote {html}", file=sys.stderr)
    elif as_json:
        print_json(made.document())
    else:
        for name, rows in made.parts.items():
            if as_csv:
                print_csv(rows.columns, rows.rows)
                continue
            table = value_table(rows.columns, rows.rows, width())
            more = (
                "\nThere are more: --json and --csv print the first 1000, and --since narrows them."
                if rows.more
                else ""
            )
            print(f"{PARTS[name].title}\n{PARTS[name].note}\n\n{table if rows.rows else 'None.'}{more}\n")
