"""Shows the windows that a revocation or a lock would end, before it is confirmed.

Decides which of the open windows a scope covers. A window that opens in the meantime is not shown, and ends all the
same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from pgjit.cli.api_client import ApiClient, Item
from pgjit.cli.grant_texts import window_table
from pgjit.cli.printing import width

__all__ = ["open_windows", "show_windows"]


def open_windows(client: ApiClient, scope: dict[str, object]) -> list[Item]:
    """The windows in `scope` whose sessions are live or ending."""
    return [
        each for state in ("open", "ending") for each in client.items("windows", state=state) if _is_in(each, scope)
    ]


def show_windows(found: Sequence[Item], *, as_json: bool) -> None:
    """Print them for a person: with `as_json` on standard error, as standard output has the JSON."""
    text = window_table(found, datetime.now(UTC), width()) if found else "No window is open there."
    print(text, file=sys.stderr if as_json else sys.stdout, flush=True)


def _is_in(window: Item, scope: dict[str, object]) -> bool:
    match scope:
        case {"identity": identity}:
            key = window.get("identity") or {}
            return f"{key.get('tid')}/{key.get('oid')}" == identity
        case {"policy": policy}:
            return bool(window.get("policy") == policy)
        case {"connection": connection}:
            return bool(window.get("connection") == connection)
    return True
