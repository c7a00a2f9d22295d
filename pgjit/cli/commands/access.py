"""`pgjit access`: what a group, or an identity, may do now."""

from __future__ import annotations

from typing import Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["access"]


@api_command
def access(
    group: Annotated[str | None, typer.Argument(help="The object id of the group.")] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="TENANT/OBJECT", help="An identity instead: tenant id and object id.")
    ] = None,
    *,
    api: ApiOptions,
) -> int:
    """Show what the members of a group may do now: connections, how long, which statements, and what is open.

    It answers the question that comes first when an agent goes astray: what could it have done.
    """
    from pgjit.cli.grant_texts import access_text
    from pgjit.cli.printing import print_item

    if (group is None) == (identity is None):
        raise WrongUsage("give GROUP or --identity")
    with api.connect() as client:
        return print_item(
            lambda: client.get("access", group=group, identity=identity), access_text, as_json=api.as_json
        )
