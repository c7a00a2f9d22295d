"""`pgjit check`: reads the same files as `pgjit serve`, and reports every fault."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.journal_places import probed_places
from pgjit.cli.placed import as_fields
from pgjit.cli.status import Status
from pgjit.errors import InvalidFile

if TYPE_CHECKING:
    from pgjit.audit.keeping.probing import ProbeResult

__all__ = ["check"]


def check(
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
    journal: Annotated[
        bool,
        typer.Option(
            "--journal",
            help="Also try the journal's folder and its archive: a probe is written, read back and deleted.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> int:
    """Check a configuration and its policies. Starts nothing and, without --journal, opens no connection."""
    from pgjit.config import load_config

    try:
        checked = load_config(config)
    except InvalidFile as fault:
        if not as_json:
            raise
        print(json.dumps({"valid": False, "faults": [as_fields(each) for each in fault.faults]}, indent=2))
        return Status.INVALID
    places = probed_places(checked) if journal else []
    policies = sorted(checked.policies)
    connections = sorted(checked.targets)
    if as_json:
        warnings = [as_fields(warning) for warning in checked.warnings]
        result: dict[str, object] = {"valid": True, "policies": policies, "connections": connections}
        result |= {"workers": checked.workers, "warnings": warnings}
        print(json.dumps(result | ({"places": [asdict(each) for each in places]} if journal else {}), indent=2))
    else:
        for warning in checked.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{config} is valid: connections {', '.join(connections)}; policies {', '.join(policies)}")
        if checked.workers > 1:
            place = checked.journal_folder
            print(f"{checked.workers} workers serve its port, each with a journal of its own in {place}")
        _print_places(places)
    return Status.UNAVAILABLE if any(each.fault is not None for each in places) else Status.OK


def _print_places(places: Sequence[ProbeResult]) -> None:
    for each in places:
        place = plain(f"{each.what} {each.place}")
        if each.fault is not None:
            print(plain(f"error: {each.what} `{each.place}` cannot be used: {each.fault}"), file=sys.stderr)
            if each.hint is not None:
                print(plain(f"HINT: {each.hint}"), file=sys.stderr)
        else:
            print(f"{place} can be used: a probe was written and read back")
            if each.warning is not None:
                print(plain(f"warning: {each.what} `{each.place}`: {each.warning}"), file=sys.stderr)
