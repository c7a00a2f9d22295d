"""`pgjit check`: reads the same files as `pgjit serve`, and reports every fault."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.placed import as_fields
from pgjit.cli.status import Status
from pgjit.errors import InvalidFile

__all__ = ["check"]


def check(
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> int:
    """Check a configuration and its policies. Starts nothing and opens no connection."""
    from pgjit.config import load_config

    try:
        checked = load_config(config)
    except InvalidFile as fault:
        if not as_json:
            raise
        print(json.dumps({"valid": False, "faults": [as_fields(each) for each in fault.faults]}, indent=2))
        return Status.INVALID
    policies = sorted(checked.policies)
    connections = sorted(checked.targets)
    if as_json:
        warnings = [as_fields(warning) for warning in checked.warnings]
        result = {"valid": True, "policies": policies, "connections": connections, "warnings": warnings}
        print(json.dumps(result, indent=2))
    else:
        for warning in checked.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{config} is valid: connections {', '.join(connections)}; policies {', '.join(policies)}")
    return Status.OK
