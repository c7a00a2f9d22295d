"""Decides which settings of a startup message are accepted: those that SET may change under the policy. Pure.

The check is made before a window is opened. `proxy/server_settings.py` combines the accepted settings with those of
pgjit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgjit.errors import AccessRefused
from pgjit.policy.policy import Policy, Preset
from pgjit.policy.session_settings import TIMEOUTS, Objection, objection, setting_name
from pgjit.proxy.door.startup_request import StartupRequest
from pgjit.server.target import Target
from pgjit.sql.referenced import SessionStart
from pgjit.sql.statement import Setting

__all__ = ["check_for_any_policy", "check_settings"]

_RESERVED = TIMEOUTS | {
    "client_connection_check_interval", "client_encoding", "role", "session_authorization",
    "standard_conforming_strings",
}  # fmt: skip
"""Settings that pgjit sets for every session, under `access: full` too: they end or identify the session."""


def check_for_any_policy(
    request: StartupRequest, policies: Iterable[Policy], targets: Mapping[str, Target]
) -> StartupRequest:
    """Raises AccessRefused, before a token is requested, if no policy of the connection accepts the settings."""
    refusal: AccessRefused | None = None
    for policy in policies:
        if policy.connection != request.database:
            continue
        try:
            check_settings(request, policy, targets[policy.connection])
        except AccessRefused as refused:
            refusal = refused
        else:
            return request
    if refusal is not None:
        raise refusal
    return request


def check_settings(request: StartupRequest, policy: Policy, target: Target) -> None:
    """Raises AccessRefused for the first setting that is not accepted."""
    # Whether the login is a superuser does not matter: `role` is `none` in every startup packet.
    start = SessionStart(role=target.user, superuser=False, search_path=target.search_path)
    for name, value in request.settings.items():
        refused = _objection(name, value, policy, start)
        if refused is not None:
            raise AccessRefused(
                f"startup parameter `{name}` is not accepted",
                reference="startup-parameter",
                detail=f"{refused.message[0].upper()}{refused.message[1:]}. {refused.detail}",
                hint=refused.hint,
            )


def _objection(name: str, value: str, policy: Policy, start: SessionStart) -> Objection | None:
    terms = policy.statements
    if terms.access is Preset.FULL and name not in _RESERVED:
        return None
    for entry in terms.deny:
        if entry.settings is not None and entry.settings.match(setting_name(name), lenient=True):
            place = f"The entry stands at {entry.place}." if entry.place else "An entry of `deny` names it."
            return Objection(f"setting `{name}` is denied by policy `{policy.name}`", place, "Leave it out.")
    return objection(Setting(name, constant=True, value=value, values=(value,), called=True), terms, start)
