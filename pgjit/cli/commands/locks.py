"""`pgjit lock`, `pgjit unlock` and `pgjit locks`: what must not open, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pgjit.cli.api_command import ApiOptions, api_command
from pgjit.cli.api_settings import Reason, ScopeOption, Watch, Yes, confirm, duration, moment, scope_of
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["lock", "locks", "unlock"]


@api_command
def lock(
    reason: Reason,
    identity: ScopeOption.Identity = None,
    policy: ScopeOption.Policy = None,
    connection: ScopeOption.Connection = None,
    everything: ScopeOption.All = False,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 2h. By default until unlocked.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Until when, such as 2026-12-01T06:00:00Z.")
    ] = None,
    yes: Yes = False,
    *,
    api: ApiOptions,
) -> int:
    """Lock an identity, a policy, a connection, or everything. What is open ends at once, and nothing opens.

    Give one of --identity, --policy, --connection and --all.
    """
    scope = scope_of(identity, policy, connection, everything)
    body = {**scope, "until": _until(lasting, until), "reason": reason}
    with api.connect() as client:
        if not yes:
            from pgjit.cli.affected_windows import open_windows, show_windows

            show_windows(open_windows(client, scope), as_json=api.as_json)
            named = " ".join("everything" if value is True else f"{name} {value}" for name, value in scope.items())
            confirm(f"Lock {named}, and end these windows with their sessions?", yes=False)
        return _print(client.post("locks", body=body), as_json=api.as_json)


@api_command
def unlock(
    lock: Annotated[str, typer.Argument(help="The lock, as `pgjit locks` lists it.")],
    reason: Reason,
    *,
    api: ApiOptions,
) -> int:
    """Lift a lock. Windows that it ended stay ended."""
    import json

    with api.connect() as client:
        answer = client.delete("locks", lock, reason=reason)
    print(json.dumps(answer, indent=2, ensure_ascii=False) if api.as_json else f"lock {lock} is lifted")
    return Status.OK


@api_command
def locks(
    watch: Watch = False,
    *,
    api: ApiOptions,
) -> int:
    """List the locks that hold now."""
    from pgjit.cli.grant_texts import lock_table
    from pgjit.cli.printing import print_list

    with api.connect() as client:
        return print_list(
            lambda: client.items("locks"), lock_table, as_json=api.as_json, again=client if watch else None
        )


def _until(lasting: str | None, until: str | None) -> str | None:
    """Raises WrongUsage."""
    if lasting is not None and until is not None:
        raise WrongUsage("give one of --for and --until")
    length = duration(lasting, "--for")
    if length is not None:
        return moment(length)
    if until is None:
        return None
    try:
        read = datetime.fromisoformat(until)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise WrongUsage("--until is a moment with its time zone, such as 2026-12-01T06:00:00Z")
    return read.isoformat()


def _print(made: dict[str, object], *, as_json: bool) -> int:
    import json

    from pgjit.audit.plain_text import plain

    if as_json:
        print(json.dumps(made, indent=2, ensure_ascii=False))
        return Status.OK
    until = f"until {made['until']}" if made.get("until") else "until it is unlocked"
    print(plain(f"lock {made.get('id')} holds {until}; what is open there is ending"))
    if made.get("identity_known") is False:
        print(
            plain(f"nobody has seen identity {made.get('target')}: check its spelling, and unlock what is misspelt")
        )
    return Status.OK
