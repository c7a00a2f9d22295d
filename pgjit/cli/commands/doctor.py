"""`pgjit doctor`: examines the installation, or what the login role of a connection could do."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from pgjit.audit.plain_text import plain
from pgjit.cli.journal_places import probed_places
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.config import Config
    from pgjit.doctor.examine import Report
    from pgjit.doctor.finding import Finding

__all__ = ["doctor"]

_STYLE = {"danger": "bold red", "warning": "yellow", "note": "cyan"}  # by `Severity`
_MOST_SHOWN = 8


def doctor(
    connection: Annotated[str | None, typer.Option(help="Examine only the login role of this connection.")] = None,
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
    journal: Annotated[
        bool,
        typer.Option(
            "--journal",
            help="Examine only the journal's folder and archive: a probe is written, read back and deleted.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
    as_sql: Annotated[
        bool, typer.Option("--sql", help="Print only the SQL that resolves the dangers and warnings.")
    ] = False,
) -> int:
    """Examine the installation: configuration, file rights, disk, certificates, keys, store, clocks, connections.

    With --connection it examines the login role of that connection on the real server: rights that would let an agent
    get past the rules or do harm, each with the SQL that revokes it. It logs in with the connection's own credential,
    reads in a read-only transaction, and changes nothing.
    Run it as the user that runs `pgjit serve`. The exit code is 1 if there is a danger.
    """
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config
    from pgjit.doctor.examine import examine
    from pgjit.doctor.finding import Severity

    if as_json and as_sql:
        raise WrongUsage("give either --json or --sql")
    if (journal and connection is not None) or (as_sql and connection is None):
        raise WrongUsage("give either --connection or --journal; --sql is about a connection")
    checked = load_config(config)
    if connection is None and not journal:
        return run_program(_examine_installation(checked, config, as_json=as_json))
    if connection is None:
        return _examine_places(checked, as_json=as_json)
    if connection not in checked.targets:
        raise WrongUsage(f"`{connection}` is not one of {', '.join(sorted(checked.targets))}")
    policies = [policy for policy in checked.policies.values() if policy.connection == connection]
    report = run_program(examine(checked.targets[connection], policies))
    if as_json:
        print(json.dumps(_document(report), indent=2))
    elif as_sql:
        print(f"-- for a superuser in database {plain(report.subject.login.database)}")
        print("\n".join(report.fixes))
    else:
        _show(report, Console(highlight=False, soft_wrap=False))
    return Status.FAILED if report.count(Severity.DANGER) else Status.OK


async def _examine_installation(config: Config, source: Path, *, as_json: bool) -> int:
    from pgjit.app.installation import examine_installation
    from pgjit.doctor.finding import Severity

    logging.getLogger("pgjit").addHandler(logging.NullHandler())  # what fails is a finding
    shown = Console(highlight=False, soft_wrap=False)
    progress = sys.stderr.isatty() and not as_json

    def begins(name: str) -> None:
        if progress:
            print(f"\r\x1b[Kexamining: {name} ...", end="", file=sys.stderr, flush=True)

    steps = []
    async for step in examine_installation(config, source, lambda: probed_places(config), begins):
        steps.append(step)
        if progress:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if not as_json:
            shown.print(Text(plain(step.name), style="bold underline"))
            for finding in step.findings:
                _show_finding(finding, shown)
            shown.print()
    counts = Counter(finding.severity for step in steps for finding in step.findings)
    if as_json:
        found = [{"step": each.name, "findings": [asdict(one) for one in each.findings]} for each in steps]
        totals = {f"{severity}s": counts[severity] for severity in Severity}
        print(json.dumps({**totals, "steps": found}, indent=2))
    else:
        shown.print(", ".join(_counted(counts[severity], severity) for severity in Severity) + ".")
    return Status.FAILED if counts[Severity.DANGER] else Status.OK


def _examine_places(config: Config, *, as_json: bool) -> int:
    from pgjit.doctor.finding import Severity
    from pgjit.doctor.places import place_findings

    findings = list(place_findings(probed_places(config)))
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=False)
        for finding in findings:
            _show_finding(finding, console)
    return Status.FAILED if any(each.severity is Severity.DANGER for each in findings) else Status.OK


def _document(report: Report) -> dict[str, object]:
    from pgjit.doctor.finding import Severity

    login = report.subject.login
    return {
        "connection": report.subject.connection,
        "login": login.name,
        "database": login.database,
        "server_version": login.version,
        **{f"{severity}s": report.count(severity) for severity in Severity},
        "findings": [asdict(finding) for finding in report.findings],
    }


def _show(report: Report, console: Console) -> None:
    from pgjit.doctor.finding import Severity

    login = report.subject.login
    console.print(
        Text(
            f"Login role {plain(login.name)} of connection {report.subject.connection}: database "
            f"{plain(login.database)}, PostgreSQL {login.version // 10000}.{login.version % 10000}",
            style="bold",
        )
    )
    for finding in report.findings:
        console.print()
        _show_finding(finding, console)
    counts = ", ".join(_counted(report.count(severity), severity) for severity in Severity)
    console.print(f"\n{counts}." + ("" if report.fixes else " Nothing to put right."))
    if report.fixes:
        console.print("Fixes are for a superuser in that database; --sql writes all of them as one script.")


def _counted(count: int, severity: str) -> str:
    return f"{count} {severity}{'' if count == 1 else 's'}"


def _show_finding(finding: Finding, console: Console) -> None:
    head = Text(f"{finding.severity.upper():<8}", style=_STYLE[finding.severity])
    head.append(plain(finding.message), style="bold")
    head.append(f"  [{finding.reference}]", style="dim")
    console.print(head)
    console.print(Text(finding.why), style="dim", width=min(console.width, 110))
    _list(console, "  - ", finding.objects, "")
    if finding.advice:
        console.print(Text(f"  {plain(finding.advice)}"))
    _list(console, "    ", finding.fix, "green")


def _list(console: Console, indent: str, lines: tuple[str, ...], style: str) -> None:
    for line in lines[:_MOST_SHOWN]:
        console.print(Text(indent + plain(line), style=style), soft_wrap=True)
    if len(lines) > _MOST_SHOWN:
        console.print(Text(f"{indent}... and {len(lines) - _MOST_SHOWN} more", style="dim"))
