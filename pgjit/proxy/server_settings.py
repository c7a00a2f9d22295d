"""The settings of a session on the real server: pinned values, timeouts, watched parameters. Pure.

All of them go into the startup packet, so that RESET and DISCARD ALL restore them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.clock import Clock
from pgjit.policy.policy import Preset
from pgjit.policy.session_settings import ON, PINNED, TIMEOUTS, length_of
from pgjit.policy.unread import runs_unread
from pgjit.proxy.access import Access
from pgjit.proxy.door.startup_request import StartupRequest
from pgjit.server.warm_logins import NextLogin

__all__ = ["next_login", "session_settings", "watched_parameters"]

_STRICTER = frozenset({"row_security"})
"""A client may turn it on if the login role has it off; pgjit does not set it."""
_CHECK_CLIENT_EVERY = "500ms"
_MAX_NAME = 63
_TIMEOUT_SLACK = timedelta(seconds=2)


def session_settings(
    access: Access, request: StartupRequest, session_id: str, server_major: int, now: datetime
) -> dict[str, str]:
    """The startup parameters for the server, beside user and database."""
    remaining = max(timedelta(milliseconds=1), access.ends_at - now)
    # The server's timeouts fire a little after pgjit's own end of the session, which is cleaner and leaves a proof. A
    # statement that the server cancelled before pgjit has terminated its backend would let the next one begin.
    latest = remaining + _TIMEOUT_SLACK
    late, limits = _milliseconds(latest), access.policy.limits
    settings = {
        **_client_settings(request, access),
        # The session id comes first: a reader of pg_stat_activity finds the records by it.
        "application_name": f"pgjit {session_id} {request.application_name or ''}".strip()[:_MAX_NAME],
        # Judging a statement's text relies on these.
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "search_path": access.target.search_path,
        # Server-side timeouts, in case pgjit itself dies before the window ends.
        "statement_timeout": _milliseconds(min(latest, limits.statement_time or latest)),
        "idle_in_transaction_session_timeout": _milliseconds(min(latest, limits.idle_in_transaction or latest)),
        # A role that ALTER ROLE set for the login would hide its sessions from the control connection.
        "role": "none",
        # For row security and triggers. In the startup packet it is the reset value too, and precedes what ALTER ROLE
        # and ALTER DATABASE set.
        "pgjit.identity": access.identity.key.text,
    }
    # Under `full` the login role's own default applies: only the server-side timeouts are pinned there.
    if access.policy.statements.access is not Preset.FULL:
        reading = access.policy.statements.access is Preset.READ_ONLY
        settings["default_transaction_read_only"] = "on" if reading else "off"
    if server_major >= 14:
        settings["client_connection_check_interval"] = _CHECK_CLIENT_EVERY
        settings["idle_session_timeout"] = late
    if server_major >= 17:
        settings["transaction_timeout"] = late
    _tighten(settings, request.settings)
    if access.policy.statements.access is Preset.FULL and "search_path" in request.settings:
        settings["search_path"] = request.settings["search_path"]
    return settings


def _client_settings(request: StartupRequest, access: Access) -> dict[str, str]:
    """The settings that the client requested and `startup_settings` accepted, without those that pgjit sets."""
    full = access.policy.statements.access is Preset.FULL
    return {
        name: value for name, value in request.settings.items() if full or name not in PINNED or name in _STRICTER
    }


def _tighten(settings: dict[str, str], requested: dict[str, str]) -> None:
    """Use the client's value where it is stricter than pgjit's own."""
    for name in (TIMEOUTS - {"lock_timeout"}) & requested.keys() & settings.keys():
        length = length_of(requested[name])
        if length is not None and length >= 1:
            settings[name] = str(min(int(length), int(settings[name])))
    if _is_on(requested.get("default_transaction_read_only", "")):
        settings["default_transaction_read_only"] = "on"


def _is_on(value: str) -> bool:
    return value.lower() in ON


def _milliseconds(length: timedelta) -> str:
    return str(int(length / timedelta(milliseconds=1)))


def next_login(access: Access, request: StartupRequest, clock: Clock) -> NextLogin | None:
    """How the next session of this agent logs in, which may be made ahead.

    None where texts run unread: such a session could have changed what the next one finds.
    """
    if runs_unread(access.policy.statements):
        return None
    window = access.window.id
    asked = request.application_name, frozenset(request.settings.items())
    return NextLogin(
        (window, access.policy.version, access.ends_at, asked),
        lambda major: session_settings(access, request, window, major, clock()),
        (access.ends_at - clock()).total_seconds(),
    )


def watched_parameters(access: Access, reported: dict[str, str]) -> dict[str, str]:
    """Parameters that the server reports. If one changes from this value, the session ends.

    None under `full`: no statement is judged there, so no setting can change the meaning of one.
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
