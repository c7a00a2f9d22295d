"""Whether the doctor sees that what ends sessions is within their reach, or cannot end them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgjit.doctor.checks.control import control_findings
from pgjit.doctor.finding import Severity
from pgjit.doctor.subject import ControlRole
from tests.doctor.subjects import good

GOOD = ControlRole(
    name="pgjit_control",
    exists=True,
    superuser=False,
    can_login=True,
    signals=True,
    sees=True,
    connects=True,
    within_reach=False,
)


def test_a_login_of_its_own_is_asked_for_where_a_policy_lets_run_what_no_rule_reads() -> None:
    assert list(control_findings(good())) == []
    [found] = control_findings(replace(good(), unread=("full", "migrations")))
    assert (found.severity, found.reference, found.objects) == (
        Severity.WARNING, "no-control-login", ("full", "migrations"),
    )  # fmt: skip
    assert "GRANT pg_signal_backend, pg_read_all_stats TO pgjit_control;" in found.fix
    assert list(control_findings(replace(good(), unread=("full",), control=GOOD))) == []


@pytest.mark.parametrize(
    ("changes", "reference", "fix"),
    [
        ({"exists": False}, "control-role-missing", "GRANT pg_signal_backend, pg_read_all_stats TO pgjit_control;"),
        ({"can_login": False}, "control-cannot-log-in", "ALTER ROLE pgjit_control LOGIN;"),
        ({"signals": False}, "control-cannot-signal", "GRANT pg_signal_backend TO pgjit_control;"),
        ({"sees": False}, "control-cannot-see", "GRANT pg_read_all_stats TO pgjit_control;"),
        ({"connects": False}, "control-cannot-connect", "GRANT CONNECT ON DATABASE shop TO pgjit_control;"),
        ({"within_reach": True}, "control-within-reach", "REVOKE pgjit_control FROM agent;"),
    ],
)
def test_a_control_login_that_cannot_do_its_work_is_a_danger(
    changes: dict[str, Any], reference: str, fix: str
) -> None:
    [found] = control_findings(replace(good(), control=GOOD._replace(**changes)))
    assert (found.severity, found.reference) == (Severity.DANGER, reference)
    assert fix in found.fix


def test_a_superusers_sessions_take_a_superuser_to_end() -> None:
    of_superuser = replace(good(superuser=True), control=GOOD)
    assert [found.reference for found in control_findings(of_superuser)] == ["control-of-a-superuser"]
    assert list(control_findings(replace(of_superuser, control=GOOD._replace(superuser=True)))) == []
