"""`pgjit policy test`: runs the tests beside the policies, with the code that judges sessions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from pgjit.audit.plain_text import plain
from pgjit.cli.policies import STATEMENT_BYTES, AsJson, StatementBytes, read
from pgjit.cli.status import Status
from pgjit.errors import InvalidFile

if TYPE_CHECKING:
    from pgjit.policy.coverage import Coverage
    from pgjit.policy.suite import CaseOutcome

__all__ = ["policy_test"]


def policy_test(
    folder: Annotated[Path, typer.Argument(help="The folder with the policies and their tests.")] = Path("policies"),
    coverage: Annotated[
        bool, typer.Option("--coverage", help="List the rules, policies and entries that no test covers.")
    ] = False,
    statement_bytes: StatementBytes = STATEMENT_BYTES,
    as_json: AsJson = False,
) -> int:
    """Run the tests beside the policies (`*_test.yaml`).

    The exit code is 1 if a result is not the expected one, or if there is no test.
    """
    from pgjit.judging.policy_tests import outcome_document, outcomes_of, read_suites
    from pgjit.policy.coverage import coverage_of

    policies = read(folder)
    suites, faults = read_suites(folder, policies)
    if faults:
        raise InvalidFile(f"the tests in {folder}", faults)
    outcomes = [outcome for suite in suites for outcome in outcomes_of(policies, suite, statement_bytes)]
    found = coverage_of(policies, outcomes)
    passed = bool(outcomes) and all(outcome.passed for outcome in outcomes)
    if as_json:
        document = {"passed": passed, "tests": [outcome_document(outcome) for outcome in outcomes]}
        if coverage:
            document["untested"] = found.document()
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        _show(outcomes, console)
        if coverage:
            _show_coverage(found, console)
    return Status.OK if passed else Status.FAILED


def _show(outcomes: list[CaseOutcome], console: Console) -> None:
    rows = [
        (
            "ok" if outcome.passed else "FAILED",
            outcome.policy or "-",
            outcome.decision,
            outcome.case.rule or next(iter(outcome.rules), ""),
        )
        for outcome in outcomes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for outcome, row in zip(outcomes, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = Text(f"{cells}  {plain(' '.join(outcome.case.sql.split()))}", no_wrap=True)
        line.stylize("green" if outcome.passed else "bold red", 0, widths[0])
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line, soft_wrap=True)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        _show_failure(outcome, console)
    if not outcomes:
        console.print("There is no test.")
        return
    counts = Counter(outcome.passed for outcome in outcomes)
    console.print(f"\n{counts[True]} passed, {counts[False]} failed")


def _show_failure(outcome: CaseOutcome, console: Console) -> None:
    case = outcome.case
    expected = case.expect + (f" by {case.rule}" if case.rule else "")
    got = outcome.decision + (f" by {', '.join(outcome.rules)}" if outcome.rules else "")
    console.print(Text(f"\n{case.place}: {plain(case.name or 'test')}", style="bold"), soft_wrap=True)
    console.print(Text(f"  expected {expected}, got {got}"), soft_wrap=True)
    if outcome.message:
        console.print(Text(f"  {plain(outcome.message)}"))


def _show_coverage(found: Coverage, console: Console) -> None:
    for title, names in (
        ("rules that no test touched", found.rules),
        ("policies that no test asks", found.policies),
        ("entries of `allow` and `deny` that decided nothing", found.lines),
    ):
        if names:
            console.print(Text(f"\n{title}:", style="bold"))
            for name in names:
                console.print(Text(f"  {name}"), soft_wrap=True)
    if not any((found.rules, found.policies, found.lines)):
        console.print("every rule, every policy and every entry was touched by a test")
