"""What tests need: nothing, or sockets and processes (`live`); and what is left of them when they are over.

Decides which tests `make test-fast` runs: those that open no socket and start no process. That is not taken on trust:
a test that is not `live` and does so fails, with the place where it did. And no test may leave a child behind.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest

from tests.run.processes import OWNED

__all__ = ["FIRST", "LIVE", "LONG"]

# Folders and files below tests/ all of whose tests are `live`. A single test in another file has the marker itself.
LIVE = (
    "e2e/", "faults/", "demo/", "proxy/door/test_balancers.py",
    "proxy/door/test_client_authentication.py", "proxy/door/test_handshake.py",
    "proxy/door/test_listener.py", "api/test_serving.py",
    "console/browser/",
    "app/test_inherited_sockets.py", "app/test_service_manager.py",
    "audit/proof/test_signer.py", "bench/test_main.py", "cli/test_client_settings.py", "cli/test_emulator_command.py",
    "cli/test_token_source.py",
    "grants/stores/test_store_file.py", "identity/providers/test_entra.py",
    "identity/test_managed_identity_tokens.py", "policy/rules/test_function_call.py", "policy/test_redteam.py",
    "judging/test_worker_process.py", "server/link/", "server/test_control_pool.py", "server/test_dial.py",
    "proxy/relay/test_client_traffic.py", "server/test_login.py", "server/test_readiness.py",
    "server/test_managed_identity.py", "server/test_reserve_login.py", "server/test_secret_command.py",
    "server/test_servers.py", "server/test_upstream.py",
)  # fmt: skip
# Tests that use a server by a fixture are `live` wherever they are.
_SERVERS = frozenset({"database", "store_server", "names_dsn", "loose_database", "everyday_database"})

# Files whose tests need nothing of the kind, and take long all the same: they are not in the fast part either.
LONG = (
    "api/test_audit_answers.py",
    "api/test_openapi.py",
    "audit/proof/test_checkpoint_thinning.py",
    "audit/reading/",
    "cli/test_audit.py",
    "console/test_windows.py",
    "policy/test_decision_path.py",
    "policy/test_large_catalog.py",
    "protocol/test_round_trip.py",
    "proxy/relay/test_tables.py",
    "proxy/window/test_reconciliation.py",
    "proxy/window/test_windows.py",
    "sql/shape/test_measure.py",
    "sql/shape/test_row_limits.py",
)

# The files that take longest begin: a worker that takes one of them up at the end would keep all others waiting.
FIRST = (
    "e2e/test_everyday_psql.py", "e2e/test_stalls.py", "e2e/test_moving_address.py", "run/test_deadlines.py",
    "policy/test_large_catalog.py", "e2e/test_means_of_ending.py", "e2e/test_tool_statements.py",
    "e2e/test_membership.py", "e2e/test_secrets_in_catalogs.py", "e2e/test_tokens.py",
    "sql/resolve/test_unwritten_calls.py",
    "e2e/test_nothing_changes.py", "e2e/test_what_ran.py", "e2e/test_battery.py", "e2e/test_cancel.py",
    "sql/shape/test_row_limits.py", "sql/test_parse.py", "faults/test_leaks.py", "api/test_openapi.py",
    "proxy/window/test_windows.py", "sql/shape/test_measure.py", "cli/test_audit.py",
)  # fmt: skip

_TESTS = Path(__file__).parents[1]
_FORBIDDEN = {
    "socket.bind", "socket.connect", "socket.sendto", "subprocess.Popen",
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
}  # fmt: skip


@functools.cache
def _below_tests(path: Path) -> str:
    return path.relative_to(_TESTS).as_posix() if path.is_relative_to(_TESTS) else ""


def _is_live(item: pytest.Item) -> bool:
    return (
        item.get_closest_marker("live") is not None
        or _below_tests(item.path).startswith(LIVE)
        or not _SERVERS.isdisjoint(getattr(item, "fixturenames", ()))
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only short tests that open no socket and start no process")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        config.option.markexpr = f"({config.option.markexpr}) and not live"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that are left out as a whole are not even imported."""
    if config.getoption("--fast") and collection_path.is_relative_to(_TESTS):
        below = collection_path.relative_to(_TESTS).as_posix() + "/" * collection_path.is_dir()
        return below.startswith((*LIVE, *LONG)) or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_live(item):
            item.add_marker(pytest.mark.live)
    # Then files that wait for servers, and the many short tests at the end: the workers end together then.
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    file = _below_tests(item.path)
    if file in FIRST:
        return FIRST.index(file)
    return len(FIRST) + (item.get_closest_marker("live") is None)


class _Guard:
    """An audit hook stays for good: there is one, and it looks only while a test that is not `live` runs."""

    def __init__(self) -> None:
        self.watching = False
        self.seen: list[str] = []
        # Python has an event for each name that is imported, and for much else. A function written in Python would be
        # called for all of them; a dict's `get` is not, and comes to `_Forbidden` with the names that are looked for.
        looked_for: dict[object, None] = {_Forbidden(event, self): None for event in _FORBIDDEN}
        sys.addaudithook(looked_for.get)

    def refuse(self, event: str) -> None:
        if self.watching:
            self.seen.append(event)
            raise RuntimeError(f"{event} in a test that is not marked `live`: tests/run/needs.py says which are")


class _Forbidden:
    """A key that is looked up where an event has the same hash."""

    def __init__(self, event: str, guard: _Guard) -> None:
        self._event = event
        self._guard = guard

    def __hash__(self) -> int:
        return hash(self._event)

    def __eq__(self, event: object) -> bool:
        if event == self._event:
            self._guard.refuse(self._event)
        return event == self._event


_guard: list[_Guard] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not _guard:
        _guard.append(_Guard())
    guard = _guard[0]
    guard.seen.clear()
    guard.watching = item.get_closest_marker("live") is None
    try:
        return (yield)
    finally:
        guard.watching = False


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    # With the last test of a run or a file, the servers that others used are stopped.
    _guard[0].watching = False
    try:
        return (yield)
    finally:
        left = _children() - OWNED - _servants()
        if item.get_closest_marker("live") is not None:
            # A fixture of a wider scope may still have its workers.
            left.difference_update(child.pid for child in multiprocessing.active_children() if child.pid)
        for child in left:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        seen = _guard[0].seen
        if left:
            pytest.fail(f"children were left running: {sorted(left)}")
        if seen:
            pytest.fail(f"{', '.join(seen)} in a test that is not marked `live`")


def _servants() -> set[int | None]:
    """The two processes of multiprocessing that live as long as this one."""
    return {
        getattr(getattr(resource_tracker, "_resource_tracker", None), "_pid", None),
        getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None),
    }


def _children() -> set[int]:
    """The direct children of this process; none where the system does not list them. After each test: it is quick."""
    try:
        with os.scandir("/proc/self/task") as threads:
            return {child for thread in threads for child in _children_of(thread.path)}
    except FileNotFoundError:
        return set()


def _children_of(thread: str) -> list[int]:
    try:
        listed = os.open(f"{thread}/children", os.O_RDONLY)
    except OSError:
        return []  # the thread is gone
    try:
        return [int(pid) for pid in b"".join(iter(lambda: os.read(listed, 65_536), b"")).split()]
    finally:
        os.close(listed)
