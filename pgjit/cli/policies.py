"""The options that the commands on policies share, and how they read the folder, a policy and a catalog.

The rooms that do the work are imported in the functions: help does not wait for them.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.wrong_usage import WrongUsage
from pgjit.errors import InvalidFile

if TYPE_CHECKING:
    from pgjit.policy.load import Policies
    from pgjit.policy.policy import Policy
    from pgjit.sql.catalog import Catalog

__all__ = ["STATEMENT_BYTES", "AsJson", "CatalogFile", "Folder", "StatementBytes", "one", "read", "read_catalog"]

STATEMENT_BYTES = 2 * 1024 * 1024
"""`judge.STATEMENT_BYTES`, which takes longer to import than help may take; a test compares them."""

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
    from pgjit.policy.load import load_policies

    policies, faults = load_policies(folder)
    if not policies and not faults:
        faults = [f"{folder}:1:1: this folder has no policy"]
    if faults:
        raise InvalidFile(f"the policies in {folder}", faults)
    return policies


def read_catalog(path: Path | None) -> Catalog | None:
    """Raises InvalidFile and OSError."""
    from pgjit.sql.catalog import Catalog

    return None if path is None else Catalog.from_json(path.read_bytes())


def one(policies: Policies, name: str | None) -> Policy:
    """The policy `name`; without a name, the only one in the folder. Raises WrongUsage."""
    if name is None:
        if len(policies) == 1:
            return next(iter(policies.values()))
        raise WrongUsage(f"give --policy, one of {', '.join(sorted(policies))}")
    if name not in policies:
        near = difflib.get_close_matches(name, policies, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(policies))}"
        raise WrongUsage(f"there is no policy `{name}`; {hint}")
    return policies[name]
