"""The options that the commands on policies share, and how they read the folder, a policy and a catalog."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from pgjit.errors import InvalidFile
from pgjit.judging.judge import STATEMENT_BYTES
from pgjit.policy.load import Policies, load_policies
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["STATEMENT_BYTES", "AsJson", "CatalogFile", "Folder", "StatementBytes", "one", "read", "read_catalog"]

Folder = Annotated[Path, typer.Option("--policies", help="The folder with the policy files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
CatalogFile = Annotated[
    Path | None, typer.Option(help="A catalog to resolve names with, as `pgjit catalog` writes it.")
]
StatementBytes = Annotated[
    int, typer.Option(min=1, help="The largest text that is judged: `limits.statement_bytes` of the proxy.")
]


def read(folder: Path) -> Policies:
    """Raises InvalidFile with every fault of every file."""
    policies, faults = load_policies(folder)
    if not policies and not faults:
        faults = [f"{folder}:1:1: this folder has no policy"]
    if faults:
        raise InvalidFile(f"the policies in {folder}", faults)
    return policies


def read_catalog(path: Path | None) -> Catalog | None:
    """Raises InvalidFile and OSError."""
    return None if path is None else Catalog.from_json(path.read_bytes())


def one(policies: Policies, name: str | None) -> Policy:
    """The policy `name`; without a name, the only one in the folder. Raises typer.BadParameter."""
    if name is None:
        if len(policies) == 1:
            return next(iter(policies.values()))
        raise typer.BadParameter(f"give --policy, one of {', '.join(sorted(policies))}")
    if name not in policies:
        near = difflib.get_close_matches(name, policies, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(policies))}"
        raise typer.BadParameter(f"there is no policy `{name}`; {hint}")
    return policies[name]
