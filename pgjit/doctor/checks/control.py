"""Whether the control connections, which end sessions, have a login that the sessions cannot attack.

Reads the subject only.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import ControlRole, Subject

__all__ = ["control_findings"]

_NAME = "pgjit_control"
_ROLES = "pg_signal_backend, pg_read_all_stats"
_NO_SESSION = "No session can be opened: pgjit opens none that it could not end."


def control_findings(subject: Subject) -> Iterator[Finding]:
    if subject.control is None:
        if subject.unread:
            yield _missing(subject)
        return
    yield from _faults(subject.control, subject)


def _missing(subject: Subject) -> Finding:
    login = subject.login.name
    return Finding(
        severity=Severity.WARNING,
        reference="no-control-login",
        message=f"the control connections, which end the sessions of {login}, log in as {login} too",
        why="A session that may run statements no rule can read could terminate the control connections and change "
        "their password. Its end would then not be certain.",
        objects=subject.unread,
        fix=(
            f"CREATE ROLE {_NAME} LOGIN NOSUPERUSER CONNECTION LIMIT 10;",
            f"GRANT {_ROLES} TO {_NAME};",
            f"GRANT CONNECT ON DATABASE {subject.login.database} TO {_NAME};",
        ),
        advice=f"Give it a password (\\password {_NAME} in psql) and add it to the connection, as "
        f"`control: {{user: {_NAME}, password: ...}}`.",
    )


def _faults(control: ControlRole, subject: Subject) -> Iterator[Finding]:
    name, login = control.name, subject.login.name
    if not control.exists:
        yield _danger(
            "control-role-missing",
            f"there is no role {name}, which `control` names",
            _NO_SESSION,
            f"CREATE ROLE {name} LOGIN NOSUPERUSER CONNECTION LIMIT 10;",
            f"GRANT {_ROLES} TO {name};",
        )
        return
    if not control.can_login:
        fix = f"ALTER ROLE {name} LOGIN;"
        yield _danger("control-cannot-log-in", f"the role {name} may not log in", _NO_SESSION, fix)
    if not control.connects:
        yield _danger(
            "control-cannot-connect",
            f"the role {name} may not connect to {subject.login.database}",
            _NO_SESSION,
            f"GRANT CONNECT ON DATABASE {subject.login.database} TO {name};",
        )
    if not control.signals:
        why = f"It could not terminate a session of {login}."
        yield _danger(
            "control-cannot-signal",
            f"the role {name} may not terminate sessions of other roles",
            why,
            f"GRANT pg_signal_backend TO {name};",
        )
    if not control.sees:
        yield _danger(
            "control-cannot-see",
            f"the role {name} may not see the start time of a backend of {login}",
            "No session can be opened: pgjit could not prove that its backend is gone.",
            f"GRANT pg_read_all_stats TO {name};",
        )
    if subject.login.superuser and not control.superuser:
        yield _danger(
            "control-of-a-superuser",
            f"{name} cannot terminate the sessions of {login}",
            f"{login} is a superuser, and only a superuser may terminate its sessions.",
            f"ALTER ROLE {login} NOSUPERUSER;",
        )
    if control.within_reach:
        yield _danger(
            "control-within-reach",
            f"{login} is a member of {name}",
            "It could terminate the control connections. The end of its sessions would then not be certain.",
            f"REVOKE {name} FROM {login};",
        )


def _danger(reference: str, message: str, why: str, *fix: str) -> Finding:
    return Finding(severity=Severity.DANGER, reference=reference, message=message, why=why, fix=fix)
