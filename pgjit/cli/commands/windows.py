"""`pgjit windows` and `pgjit sessions`: what is open now, and what was."""

from __future__ import annotations

from typing import Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Watch

__all__ = ["sessions", "windows"]


@api_command
def windows(
    window: Annotated[
        str | None, typer.Argument(help="The window to show. Without it: all that you may see.")
    ] = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="open, ending or ended.")] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Only those of break-glass that nobody has signed off.")
    ] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own.")] = False,
    watch: Watch = False,
    *,
    api: ApiOptions,
) -> int:
    """List windows, the latest first, or show one of them."""
    from pgjit.cli.grant_texts import window_details, window_table
    from pgjit.cli.printing import print_item, print_list

    with api.connect() as client:
        if window is not None:
            return print_item(
                lambda: client.get("windows", window),
                window_details,
                as_json=api.as_json,
                again=client if watch else None,
            )
        own, open_reviews = ("true" if flag else None for flag in (mine, unsigned))
        return print_list(
            lambda: client.items("windows", state=state, unsigned=open_reviews, mine=own),
            window_table,
            as_json=api.as_json,
            again=client if watch else None,
        )


@api_command
def sessions(
    session: Annotated[
        str | None, typer.Argument(help="The session to show. Without it: all that you may see.")
    ] = None,
    watch: Watch = False,
    *,
    api: ApiOptions,
) -> int:
    """List the live sessions of all nodes, or show one of them: its program, its address, its backend.

    For a session of another node, the store knows its backend, but not its state, program or address.
    """
    from pgjit.cli.api_client import ApiProblem, ApiUnreachable, Item
    from pgjit.cli.grant_texts import session_details, session_table
    from pgjit.cli.printing import print_item, print_list

    with api.connect() as client:
        again = client if watch else None
        if session is None:
            return print_list(lambda: client.items("sessions"), session_table, as_json=api.as_json, again=again)

        def one() -> Item:
            live = client.items("sessions")
            found = next((each for each in live if each.get("id") == session), None)
            if found is not None:
                return found
            if live.complete is False:
                raise ApiUnreachable(
                    f"session `{session}` is not on this node",
                    reference="store-unavailable",
                    detail="The store cannot be read, so the sessions of other nodes are not known here.",
                    hint="Ask each node with --api.",
                )
            problem = {"title": f"session `{session}` is not live", "reference": "session-unknown"}
            raise ApiProblem(problem, 404)

        return print_item(one, session_details, as_json=api.as_json, again=again)
