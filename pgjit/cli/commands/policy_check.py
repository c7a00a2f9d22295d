"""`pgjit policy check`: reports every fault of the policies and of the tests beside them, each with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.placed import as_fields
from pgjit.cli.policies import AsJson, CatalogFile, read_catalog
from pgjit.cli.status import Status
from pgjit.errors import InvalidFile

if TYPE_CHECKING:
    from pgjit.policy.policy import Policy
    from pgjit.sql.catalog import Catalog

__all__ = ["policy_check"]


def policy_check(
    folder: Annotated[Path, typer.Argument(help="The folder with the policy files.")] = Path("policies"),
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> int:
    """Check policies and the test files beside them.

    Reports every fault with file, line and column, and warnings. With --catalog it also warns of names that the
    server does not have, and of extensions that open less than their name suggests, with the functions to name
    instead. The exit code is 3 if there is a fault.
    """
    from pgjit.judging.dry_run import REFERENCES
    from pgjit.policy.load import load_policies
    from pgjit.policy.rules import RULES
    from pgjit.policy.suite import load_suites, suite_paths

    policies, faults = load_policies(folder)
    paths = suite_paths(folder) if folder.is_dir() else []
    if not faults and not policies:
        faults = [f"{folder}:1:1: this folder has no policy"]
    # A policy with faults is not loaded: the tests that name it would be reported as wrong, which they are not.
    suites, suite_faults = load_suites(paths, policies, RULES.keys() | REFERENCES) if not faults else ([], [])
    faults = [*faults, *suite_faults]
    known = read_catalog(catalog)
    absent = [warning for policy in policies.values() for warning in _of_server(policy, known)] if known else []
    warnings = [*policies.warnings, *absent]
    if as_json:
        result = {
            "valid": not faults,
            "policies": sorted(policies),
            "faults": [as_fields(fault) for fault in faults],
            "warnings": [as_fields(warning) for warning in warnings],
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return Status.INVALID if faults else Status.OK
    for warning in warnings:
        print(f"warning: {warning}")
    if faults:
        raise InvalidFile(f"the policies in {folder}", faults)
    tests = sum(len(suite.cases) for suite in suites)
    print(f"{folder} is valid: policies {', '.join(sorted(policies))}; {tests} tests in {len(suites)} files")
    return Status.OK


def _of_server(policy: Policy, catalog: Catalog) -> Iterator[str]:
    from pgjit.policy.candidates import extension_notes
    from pgjit.policy.unknown_names import absent_names

    if catalog.database and policy.connection != catalog.database:
        yield (
            f"{policy.source}:1:1: connection `{policy.connection}` is not named as its database, "
            f"`{catalog.database}`: tools that expect dbname to be current_database() (dbt, pgjdbc's metadata, "
            "pgAdmin) look for their tables in a database that does not exist"
        )
    yield from absent_names(policy, catalog)
    yield from extension_notes(policy, catalog)
