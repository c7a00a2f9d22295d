"""`pgjit requests`: lists requests for access, or shows one."""

from __future__ import annotations

from typing import Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Watch

__all__ = ["requests"]


@api_command
def requests(
    request: Annotated[
        str | None, typer.Argument(help="The request to show. Without it: all that you may see.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATE", help="pending, approved, refused, lapsed, withdrawn or used."),
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own.")] = False,
    watch: Watch = False,
    *,
    api: ApiOptions,
) -> int:
    """List requests for access, the latest first, or show one of them.

    A requester sees the own requests, a reviewer also those to decide, an auditor or admin all.
    """
    from pgjit.cli.grant_texts import request_details, request_table
    from pgjit.cli.printing import print_item, print_list

    with api.connect() as client:
        if request is not None:
            return print_item(
                lambda: client.get("requests", request),
                request_details,
                as_json=api.as_json,
                again=client if watch else None,
            )
        own = "true" if mine else None
        return print_list(
            lambda: client.items("requests", state=state, mine=own),
            request_table,
            as_json=api.as_json,
            again=client if watch else None,
        )
