"""The systemd units fit the program, and give it no right that it does not need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgjit.app.inherited_sockets import NAMES
from pgjit.app.session_port import longest_drain
from pgjit.config import LimitsSection
from tests.run.processes import finish
from tests.run.programs import need

UNITS = Path(__file__).parents[2] / "docker" / "systemd"
SERVICE, SOCKET = UNITS / "pgjit.service", UNITS / "pgjit.socket"
MOST_EXPOSED = 1.5  # of 10, by the rating of `systemd-analyze security`
NEEDED = {
    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes", "UMask": "0077", "StateDirectoryMode": "0700",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "Type": "notify", "NotifyAccess": "main",
    "KillMode": "mixed",
}  # fmt: skip


def settings(unit: Path) -> dict[str, dict[str, list[str]]]:
    """The values by section and name: a name may have several."""
    read: dict[str, dict[str, list[str]]] = {}
    for line in unit.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if section := re.fullmatch(r"\[(\w+)\]", line):
            current = read.setdefault(section[1], {})
            continue
        name, equals, value = line.partition("=")
        assert equals, f"{unit.name}: {line}"
        current.setdefault(name, []).append(value)
    return read


def test_the_service_is_confined_and_reports_its_state() -> None:
    service = settings(SERVICE)["Service"]
    assert {name: service.get(name) for name in NEEDED} == {name: [value] for name, value in NEEDED.items()}
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    [start] = service["ExecStart"]
    assert start.endswith("/pgjit serve --config /etc/pgjit/pgjit.yaml")


def test_systemd_gives_a_stop_the_time_that_a_drain_may_take() -> None:
    [seconds] = settings(SERVICE)["Service"]["TimeoutStopSec"]
    assert int(seconds) >= longest_drain(LimitsSection())


def test_the_socket_is_for_sessions_and_its_service_is_the_unit_of_the_same_name() -> None:
    socket = settings(SOCKET)["Socket"]
    [name] = socket["FileDescriptorName"]
    assert name in NAMES
    assert (socket["Accept"], int(socket["Backlog"][0]) >= 1024) == (["no"], True)
    assert "Service" not in socket
    assert "pgjit.socket" in settings(SERVICE)["Unit"]["Wants"][0]


@pytest.mark.live
def test_systemd_accepts_the_units_and_rates_the_service_well(tmp_path: Path) -> None:
    [analyze] = need("systemd-analyze")
    program = tmp_path / "pgjit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (SERVICE, SOCKET):
        text = unit.read_text().replace("/opt/pgjit/bin/pgjit", str(program))
        (tmp_path / unit.name).write_text(text)
    units = [tmp_path / unit.name for unit in (SERVICE, SOCKET)]
    verified = finish(analyze, "verify", *units, seconds=60)
    assert (verified.status, verified.err) == (0, "")
    rated = finish(analyze, "security", "--offline=yes", units[0], seconds=60)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", rated.out)
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED
