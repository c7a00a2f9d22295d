"""Which settings a client may give in its startup message: what SET may do under its policy. Pure.

Decides before a window is opened. What becomes of an accepted setting beside pgjit's own is decided by `settings`.
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

_ALWAYS_OURS = TIMEOUTS | {
    "client_connection_check_interval", "client_encoding", "role", "session_authorization",
    "standard_conforming_strings",
}  # fmt: skip
"""What pgjit gives to every session, under `access: full` as well: it ends the session, or tells whose it is."""


def check_for_any_policy(
    opening: StartupRequest, policies: Iterable[Policy], targets: Mapping[str, Target]
) -> StartupRequest:
    """Raises AccessRefused where no policy of the connection accepts the settings: then no token is asked for."""
    fault: AccessRefused | None = None
    for policy in policies:
        if policy.connection != opening.database:
            continue
        try:
            check_settings(opening, policy, targets[policy.connection])
        except AccessRefused as refused:
            fault = refused
        else:
            return opening
    if fault is not None:
        raise fault
    return opening


def check_settings(opening: StartupRequest, policy: Policy, target: Target) -> None:
    """Raises AccessRefused for the first setting that is not accepted."""
    # Who is a superuser does not count here: `role` is `none` in every startup packet.
    start = SessionStart(role=target.user, superuser=False, search_path=target.search_path)
    for name, value in opening.settings.items():
        found = _objection(name, value, policy, start)
        if found is not None:
            raise AccessRefused(
                f"startup parameter `{name}` is not accepted",
                reference="startup-parameter",
                detail=f"{found.message[0].upper()}{found.message[1:]}. {found.detail}",
                hint=found.hint,
            )


def _objection(name: str, value: str, policy: Policy, start: SessionStart) -> Objection | None:
    terms = policy.statements
    if terms.access is Preset.FULL and name not in _ALWAYS_OURS:
        return None
    for entry in terms.deny:
        if entry.settings is not None and entry.settings.match(setting_name(name), lenient=True):
            place = f"The entry stands at {entry.place}." if entry.place else "An entry of `deny` names it."
            return Objection(f"setting `{name}` is denied by policy `{policy.name}`", place, "Leave it out.")
    return objection(Setting(name, constant=True, value=value, values=(value,), called=True), terms, start)
