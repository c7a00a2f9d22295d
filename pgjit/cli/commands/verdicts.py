"""`pgjit approve`, `refuse`, `withdraw` and `sign-off`: what people decide about requests and windows.

INVARIANT: an approval bears the digest of the request that was shown, so that a change in between voids it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Reason, Yes, confirm, duration

__all__ = ["approve", "refuse", "sign_off", "withdraw"]

_Request = Annotated[str, typer.Argument(help="The request, as `pgjit requests` lists it.")]
_Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="For the requester and the record.")]


@api_command
def approve(
    request: _Request,
    comment: _Comment = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Allow a shorter window than requested, such as 10m.")
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="Approve only if this is still the digest of what is requested."),
    ] = None,
    yes: Yes = False,
    *,
    api: ApiOptions,
) -> int:
    """Approve a request, after showing what is requested.

    The approval is for exactly what was shown. If the request or its policy changes in between, it is refused.
    """
    from pgjit.cli.grant_texts import request_details
    from pgjit.cli.printing import width

    length = duration(ttl, "--ttl")
    with api.connect() as client:
        shown = client.get("requests", request)
        if not yes or not api.as_json:
            text = request_details(shown, datetime.now(UTC), width())
            print(f"{text}\n", file=sys.stderr if api.as_json else sys.stdout, flush=True)
        confirm("Approve this request?", yes=yes)
        body = {
            "comment": comment,
            "ttl_seconds": int(length.total_seconds()) if length else None,
            "digest": digest or shown.get("digest"),
        }
        decided = client.post("requests", request, "approve", body=body)
        return _report(decided, as_json=api.as_json)


@api_command
def refuse(
    request: _Request,
    reason: Reason,
    *,
    api: ApiOptions,
) -> int:
    """Refuse a request. The requester is shown the reason."""
    with api.connect() as client:
        return _report(client.post("requests", request, "refuse", body={"reason": reason}), as_json=api.as_json)


@api_command
def withdraw(
    request: _Request,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why. It is recorded.")] = None,
    *,
    api: ApiOptions,
) -> int:
    """Withdraw a request of your own that no window was opened for."""
    with api.connect() as client:
        return _report(client.post("requests", request, "withdraw", body={"reason": reason}), as_json=api.as_json)


@api_command
def sign_off(
    window: Annotated[str, typer.Argument(help="The window that was opened by break-glass.")],
    comment: Annotated[str, typer.Option(metavar="TEXT", help="What the review of its use found.")],
    *,
    api: ApiOptions,
) -> int:
    """Sign off a break-glass window, after reviewing what was done in it. Its user cannot."""
    from pgjit.cli.grant_texts import window_details
    from pgjit.cli.printing import print_item

    with api.connect() as client:
        signed = client.post("windows", window, "sign-off", body={"comment": comment})
        return print_item(lambda: signed, window_details, as_json=api.as_json)


def _report(request: dict[str, object], *, as_json: bool) -> int:
    from pgjit.audit.plain_text import plain
    from pgjit.cli.grant_texts import request_details
    from pgjit.cli.printing import print_item
    from pgjit.cli.status import Status

    if as_json:
        return print_item(lambda: request, request_details, as_json=True)
    verdicts = request.get("verdicts")
    approvals = [each for each in verdicts if each.get("verdict") == "approved"] if isinstance(verdicts, list) else []
    line = f"request {request.get('id')} is {request.get('state')}"
    if request.get("state") == "pending" and approvals:
        line += f": {len(approvals)} of {request.get('needs')} approvals"
    print(plain(line), file=sys.stdout)
    return Status.OK
