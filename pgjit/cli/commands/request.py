"""`pgjit request`: requests access under a policy, and waits for the verdict if it is asked to."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Reason, duration
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.cli.api_client import ApiClient, Item

__all__ = ["request"]

_GRANTED = ("approved", "used")


@api_command
def request(
    policy: Annotated[str, typer.Argument(help="The policy under which access is requested.")],
    reason: Reason,
    ticket: Annotated[str | None, typer.Option(metavar="TEXT", help="The ticket that the reason belongs to.")] = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="A shorter window than the policy's, such as 20m.")
    ] = None,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="The connection. By default that of the policy.")
    ] = None,
    wait: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait this long for the verdict, such as 10m.")
    ] = None,
    *,
    api: ApiOptions,
) -> int:
    """Request access under a policy.

    An approved request opens its window with your first connection. The exit code is 0 if the request was made; with
    --wait it is 0 if it is approved, 1 if it is refused, lapsed or withdrawn, and 5 if it is still pending.
    """
    length, longest = duration(ttl, "--ttl"), duration(wait, "--wait")
    body: Item = {
        "policy": policy,
        "connection": connection,
        "reason": reason,
        "ticket": ticket,
        "ttl_seconds": int(length.total_seconds()) if length else None,
    }
    with api.connect() as client:
        made = client.post("requests", body=body)
        if longest is not None and made.get("state") == "pending":
            made = _verdict(client, made, longest)
        _print(made, as_json=api.as_json)
    state = made.get("state")
    if longest is None:
        return Status.OK
    return Status.OK if state in _GRANTED else Status.PENDING if state == "pending" else Status.FAILED


def _verdict(client: ApiClient, made: Item, longest: timedelta) -> Item:
    from pgjit.cli.following import Progress, await_change
    from pgjit.clock import Clock

    name = str(made["id"])
    progress = Progress(f"request {name}")
    try:
        decided = await_change(
            lambda: client.get("requests", name),
            lambda each: each.get("state") != "pending",
            longest,
            progress,
            Clock(),
        )
    finally:
        progress.end()
    return made if decided is None else decided


def _print(made: Item, *, as_json: bool) -> None:
    from pgjit.cli.grant_texts import request_details
    from pgjit.cli.printing import print_item

    print_item(lambda: made, request_details, as_json=as_json)
    if not as_json and made.get("state") == "pending":
        print(
            f"\nIt waits for a reviewer. `pgjit requests {made.get('id')} --watch` shows its state.", file=sys.stderr
        )
