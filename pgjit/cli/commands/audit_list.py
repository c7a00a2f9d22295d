"""`pgjit audit list`: executions, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.audit_settings import AsCsv, AsJson, Audit, CacheFolder, ConfigPath, Folders, WithCatalog

if TYPE_CHECKING:
    from pgjit.audit.reading.execution_list import ExecutionFilter

__all__ = ["list_"]


class OrderedBy(StrEnum):
    TIME = "time"
    DURATION = "duration"
    ROWS = "rows"
    BYTES = "bytes"


class Decided(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


def _text(help_: str, metavar: str, *names: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, metavar=metavar, help=help_)
    return option


def list_(
    identity: Annotated[str | None, _text("One identity: object id, TENANT/OBJECT, or display name.", "WHO")] = None,
    group: Annotated[str | None, _text("Sessions that this group's membership opened.", "GROUP")] = None,
    policy: Annotated[str | None, _text("Under one policy.", "POLICY")] = None,
    connection: Annotated[str | None, _text("On one connection.", "CONNECTION")] = None,
    window: Annotated[str | None, _text("In one window.", "WINDOW")] = None,
    session: Annotated[str | None, _text("In one session.", "SESSION")] = None,
    touches: Annotated[
        str | None, _text("That read, wrote or called it: a relation or function.", "NAME", "--object")
    ] = None,
    decision: Annotated[Decided | None, typer.Option(help="Allowed, or refused ones.", case_sensitive=False)] = None,
    rule: Annotated[str | None, _text("That this rule refused.", "RULE")] = None,
    sqlstate: Annotated[str | None, _text("That ended with this SQLSTATE, or class of them.", "CODE")] = None,
    since: Annotated[
        str | None, _text("From then on: 2026-11-28, 2026-11-28T14:30, yesterday, 2h (ago).", "WHEN")
    ] = None,
    until: Annotated[str | None, _text("Before then.", "WHEN")] = None,
    text: Annotated[str | None, _text("Whose statement has this text in it.", "TEXT")] = None,
    after_end: Annotated[
        bool, typer.Option("--after-end", help="Only those that ran after the end of their window.")
    ] = False,
    catalog: WithCatalog = False,
    by: Annotated[OrderedBy, typer.Option(help="What is largest comes first.")] = OrderedBy.TIME,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """List executions, the newest first: who ran which statement, and how it ended."""
    from pgjit.audit.reading.execution_list import ExecutionFilter
    from pgjit.audit.reading.moments import read_moment

    now = datetime.now(UTC)
    chosen = ExecutionFilter(
        identity=identity,
        group=group,
        policy=policy,
        connection=connection,
        window=window,
        session=session,
        touches=touches,
        decision=None if decision is None else decision.value,
        rule=rule,
        sqlstate=sqlstate,
        since=None if since is None else read_moment(since, now, "--since"),
        until=None if until is None else read_moment(until, now, "--until"),
        text=text,
        after_end=after_end,
        catalog=catalog,
    )
    return _print(Audit(folders, config, cache), chosen, by, limit, as_json=as_json, as_csv=as_csv)


def _print(audit: Audit, chosen: ExecutionFilter, by: OrderedBy, limit: int, *, as_json: bool, as_csv: bool) -> int:
    from pgjit.audit.reading.execution_list import list_executions
    from pgjit.audit.reading.values import as_documents
    from pgjit.cli.audit_output import printed_as_data
    from pgjit.cli.audit_texts import execution_table
    from pgjit.cli.printing import width

    with audit.opened() as reader:
        rows = list_executions(reader, chosen, order=by.value, limit=limit)
        if not printed_as_data(rows, complete=not reader.notices, as_json=as_json, as_csv=as_csv):
            print(execution_table(as_documents(rows), width()))
            if rows.more:
                print(f"There are more than {limit}: --limit prints more, --since and --until narrow them.")
    return audit.status
