"""`pgjit revoke` and `pgjit kill`: end windows and sessions at once, after showing which they are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Reason, ScopeOption, Yes, confirm, scope_of
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.cli.api_client import Item

__all__ = ["kill", "revoke"]


@api_command
def revoke(
    reason: Reason,
    window: Annotated[str | None, typer.Argument(help="The window, as `pgjit windows` lists it.")] = None,
    identity: ScopeOption.Identity = None,
    policy: ScopeOption.Policy = None,
    connection: ScopeOption.Connection = None,
    everything: ScopeOption.All = False,
    yes: Yes = False,
    *,
    api: ApiOptions,
) -> int:
    """Revoke one window, or all of an identity, a policy, a connection, or everything.

    Their sessions end at once, running statements included, as at the end of the window. Give the window, or one of
    --identity, --policy, --connection and --all. To keep new windows from opening as well, use `pgjit lock`.
    """
    if window is not None and (identity or policy or connection or everything):
        raise WrongUsage("give a window, or what to revoke, and not both")
    from pgjit.cli.affected_windows import open_windows, show_windows

    with api.connect() as client:
        if window is not None:
            show_windows([client.get("windows", window)], as_json=api.as_json)
            confirm("Revoke this window and end its sessions?", yes=yes)
            answer = client.post("windows", window, "revoke", body={"reason": reason})
            return _print_revoked([answer], answer, as_json=api.as_json)
        scope = scope_of(identity, policy, connection, everything)
        if not yes:  # what is shown is for the person who confirms it
            show_windows(open_windows(client, scope), as_json=api.as_json)
            confirm("Revoke all of these, and whatever opens until then, and end their sessions?", yes=yes)
        answer = client.post("revoke", body={**scope, "reason": reason})
        return _print_revoked(answer.get("items") or [], answer, as_json=api.as_json)


@api_command
def kill(
    session: Annotated[str, typer.Argument(help="The session, as `pgjit sessions` lists it.")],
    reason: Reason,
    yes: Yes = False,
    *,
    api: ApiOptions,
) -> int:
    """End one session, running statements included. Its window stays open, so that the client may connect again."""
    import json
    from datetime import UTC, datetime

    from pgjit.cli.grant_texts import session_details
    from pgjit.cli.printing import width

    with api.connect() as client:
        if not yes:
            shown = next((each for each in client.items("sessions") if each.get("id") == session), None)
            if shown is not None:
                text = session_details(shown, datetime.now(UTC), width())
                print(f"{text}\n", file=sys.stderr if api.as_json else sys.stdout, flush=True)
        confirm("End this session? Its window stays open.", yes=yes)
        answer = client.post("sessions", session, "kill", body={"reason": reason})
    print(
        json.dumps(answer, indent=2, ensure_ascii=False)
        if api.as_json
        else f"session {session} is ending; its window stays open"
    )
    return Status.OK


def _print_revoked(revoked: list[Item], answer: Item, *, as_json: bool) -> int:
    import json

    from pgjit.audit.plain_text import plain
    from pgjit.cli.grant_texts import who

    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return Status.OK
    for each in revoked:
        print(plain(f"window {each.get('id')} of {who(each.get('identity'))} is revoked"))
    if not revoked:
        print("no window was open")
    return Status.OK
