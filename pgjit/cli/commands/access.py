"""`pgjit access`: what a group, or an identity, may do now."""

from __future__ import annotations

from typing import Annotated

import typer

from pgjit.cli.api_settings import Api, ApiAudience, AsJson, Ca, SourceName, connect

__all__ = ["access"]


def access(
    group: Annotated[str | None, typer.Argument(help="The object id of the group.")] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="TENANT/OBJECT", help="An identity instead: tenant id and object id.")
    ] = None,
    as_json: AsJson = False,
    api: Api = None,
    ca: Ca = "system",
    audience: ApiAudience = None,
    source: SourceName = None,
) -> int:
    """Show what the members of a group may do now: connections, how long, which statements, and what is open.

    It answers the question that comes first when an agent goes astray: what could it have done.
    """
    from pgjit.cli.grant_texts import access_text
    from pgjit.cli.printing import print_item

    if (group is None) == (identity is None):
        raise typer.BadParameter("give GROUP or --identity")
    with connect(api, ca, audience, source) as client:
        return print_item(lambda: client.get("access", group=group, identity=identity), access_text, as_json=as_json)
