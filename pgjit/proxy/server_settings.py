"""The settings of a session on the real server: what is pinned, what guards the end, what must not change.

All of them go into the startup packet, so that RESET and DISCARD ALL come back to them. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.policy.policy import Preset
from pgjit.policy.session_settings import ON, PINNED, TIMEOUTS, length_of
from pgjit.proxy.access import Access
from pgjit.proxy.door.startup_request import StartupRequest

__all__ = ["session_settings", "tripwire"]

_STRICTER = frozenset({"row_security"})
"""A client may ask for it to be on where the login role has it off; pgjit does not give it."""
_CHECK_CLIENT_EVERY = "500ms"
_MAX_NAME = 63
_BELT_SLACK = timedelta(seconds=2)


def session_settings(
    access: Access, opening: StartupRequest, session_id: str, server_major: int, now: datetime
) -> dict[str, str]:
    """The startup parameters for the server, beside user and database."""
    left = max(timedelta(milliseconds=1), access.ends_at - now)
    # Those that end the session come a little later than pgjit's own end, which is cleaner and leaves a proof.
    late = _milliseconds(left + _BELT_SLACK)
    limits = access.policy.limits
    idle = limits.idle_in_transaction
    settings = {
        **_asked(opening, access),
        # The session's own id first: who reads pg_stat_activity finds the records by it.
        "application_name": f"pgjit {session_id} {opening.application_name or ''}".strip()[:_MAX_NAME],
        # What the judging of a statement's text rests on.
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "search_path": access.target.search_path,
        # The belts, for the case that pgjit itself dies before the window ends.
        "statement_timeout": _milliseconds(min(left, limits.statement_time or left)),
        "idle_in_transaction_session_timeout": (
            late if idle is None else _milliseconds(min(left + _BELT_SLACK, idle))
        ),
        # A role that is set for the login would hide its sessions from the control connection.
        "role": "none",
    }
    # Under `full` the login role's own default stands: nothing is pinned there but what the belts need.
    if access.policy.statements.access is not Preset.FULL:
        reading = access.policy.statements.access is Preset.READ_ONLY
        settings["default_transaction_read_only"] = "on" if reading else "off"
    if server_major >= 14:
        settings["client_connection_check_interval"] = _CHECK_CLIENT_EVERY
        settings["idle_session_timeout"] = late
    if server_major >= 17:
        settings["transaction_timeout"] = late
    _tighten(settings, opening.settings)
    if access.policy.statements.access is Preset.FULL and "search_path" in opening.settings:
        settings["search_path"] = opening.settings["search_path"]
    return settings


def _asked(opening: StartupRequest, access: Access) -> dict[str, str]:
    """Settings that the client gives, as `startup_settings` has let them pass, but for those that pgjit gives."""
    full = access.policy.statements.access is Preset.FULL
    return {
        name: value for name, value in opening.settings.items() if full or name not in PINNED or name in _STRICTER
    }


def _tighten(settings: dict[str, str], asked: dict[str, str]) -> None:
    """Where the client asks for what is stricter than pgjit's own, it gets that."""
    for name in (TIMEOUTS - {"lock_timeout"}) & asked.keys() & settings.keys():
        wanted = length_of(asked[name])
        if wanted is not None and wanted >= 1:
            settings[name] = str(min(int(wanted), int(settings[name])))
    if _is_on(asked.get("default_transaction_read_only", "")):
        settings["default_transaction_read_only"] = "on"


def _is_on(value: str) -> bool:
    return value.lower() in ON


def _milliseconds(length: timedelta) -> str:
    return str(int(length / timedelta(milliseconds=1)))


def tripwire(access: Access, reported: dict[str, str]) -> dict[str, str]:
    """Settings that the server reports and that must stay as they are now, or the session ends.

    None under `full`: there nothing is judged that a setting could make to mean something else.
    """
    if access.policy.statements.access is Preset.FULL:
        return {}
    pinned = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
    if access.policy.statements.access is Preset.READ_ONLY:
        pinned["default_transaction_read_only"] = "on"
    for name in ("session_authorization", "is_superuser"):
        if name in reported:
            pinned[name] = reported[name]
    return pinned
