"""`pgjit store`: check the window store, or bring its schema up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.grants.stores.store_state import StoreState

__all__ = ["store"]

ConfigPath = Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")]
OnlyCreate = Annotated[
    bool,
    typer.Option(
        "--only-create",
        help="Create the tables of a new store; one that has some is checked, and left as it is.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def upgrade(config: ConfigPath = Path("pgjit.yaml"), only_create: OnlyCreate = False, as_json: AsJson = False) -> int:
    """Bring the schema of the store up to date, in one transaction: whole, or not at all.

    Run it before the first start on a PostgreSQL database, and before nodes of a new version are started. If several
    upgrades run at once, one works and the others wait. A SQLite file needs none: pgjit upgrades it when it opens it.
    `--only-create` may run beside nodes of another version, at each start: an upgrade may not.
    """
    from pgjit.app.store_commands import upgrade_store
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config

    def waiting() -> None:
        print("another process is upgrading the store: waiting for it", file=sys.stderr)

    checked = load_config(config)
    if not only_create:
        print("upgrading the store", file=sys.stderr)
    state = run_program(upgrade_store(checked, waiting, only_create=only_create))
    for version in state.made:
        print(f"made schema version {version}", file=sys.stderr)
    return _print(state, as_json=as_json)


def check(config: ConfigPath = Path("pgjit.yaml"), as_json: AsJson = False) -> int:
    """Check that a node can use the store: login, rights, schema version. Changes nothing."""
    from pgjit.app.store_commands import check_store
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config

    return _print(run_program(check_store(load_config(config))), as_json=as_json)


def _print(state: StoreState, *, as_json: bool) -> int:
    if as_json:
        document = {
            "kind": state.kind,
            "store": state.name,
            "schema": state.schema,
            "server": state.server,
            "made": list(state.made),
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return Status.OK
    server = "" if state.server is None else f", PostgreSQL {state.server}"
    held = "does not exist yet: `pgjit serve` creates it" if state.schema is None else f"has schema {state.schema}"
    print(plain(f"store {state.name} {held}{server}"))
    return Status.OK


store = command_group(
    "Check the window store, or bring its schema up to date.",
    "Exit codes: 0 done, 2 wrong usage, 3 faults in a file, 4 the store cannot be used as it is.",
)
store.command("upgrade", cls=CommandHelp)(upgrade)
store.command("check", cls=CommandHelp)(check)
