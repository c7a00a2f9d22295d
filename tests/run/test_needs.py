"""`make test-fast` is what it says: a test in it that opens a socket or starts a process fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.run.needs import FIRST, LIVE, LONG, pytest_ignore_collect
from tests.run.processes import finish

pytestmark = pytest.mark.live
ROOT = Path(__file__).parents[2]

_HEAD = "import asyncio, multiprocessing, os, pytest, socket, subprocess, sys\n"
FORBIDDEN = {
    "listens": "with socket.socket() as one: one.bind(('127.0.0.1', 0))",
    "connects": "with socket.socket(socket.AF_UNIX) as one: one.connect('/nowhere')",
    "sends": "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one: one.sendto(b'', ('127.0.0.1', 9))",
    "serves": "asyncio.run(asyncio.start_server(print, 'localhost', 0))",
    "starts": "subprocess.run(['true'])",
    "starts_without_a_word": """
    try: subprocess.run(['true'])
    except Exception: pass
    """,
    "starts_a_worker": "multiprocessing.get_context('spawn').Process(target=print).start()",
    "runs": "os.system('true')",
    "forks": "os.fork() or os._exit(0)",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("needs") / "test_needing.py"
    tests = "".join(f"def test_it_{name}():\n    {body}\n" for name, body in FORBIDDEN.items())
    live = f"@pytest.mark.live\ndef test_it_may():\n    {FORBIDDEN['starts']}\n"
    file.write_text(_HEAD + tests + live + "def test_it_pairs():\n    [one.close() for one in socket.socketpair()]\n")
    command = (sys.executable, "-m", "pytest", "-p", "tests.run.needs", "-p", "no:cacheprovider", "-v", "--tb=short")
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(file.parent), str(file))
    return finish(*command, *settings, seconds=100, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).out


def _ends(name: str, said: str) -> set[str]:
    return {line.split()[1] for line in said.splitlines() if f"::test_it_{name} " in line and "%" in line}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_opens_a_socket_or_starts_a_process_fails_unless_it_is_marked(name: str, said: str) -> None:
    assert "ERROR" in _ends(name, said), said


@pytest.mark.parametrize("name", ["may", "pairs"])
def test_what_is_marked_or_stays_inside_passes(name: str, said: str) -> None:
    assert _ends(name, said) == {"PASSED"}


def test_no_live_test_is_in_the_fast_part() -> None:
    """A folder of `live` tests, one that has some, and a file that has none: to collect all takes long."""
    command = (sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q", "-p", "no:cacheprovider")
    listed = finish(
        *command, "tests/faults", "tests/cli", "tests/test_clock.py", "-m", "not slow", seconds=100, cwd=ROOT
    )
    assert listed.status == 0
    files = {line.partition("::")[0] for line in listed.out.splitlines() if "::" in line}
    assert {"tests/cli/test_caret.py", "tests/test_clock.py"} <= files
    assert not [file for file in files if file.removeprefix("tests/").startswith((*LIVE, *LONG))]


def test_what_is_live_is_so_as_a_whole_and_is_left_out_without_being_imported(pytestconfig: pytest.Config) -> None:
    fast = SimpleNamespace(getoption=lambda name: name == "--fast")
    for name in (*LIVE, *LONG):
        path = ROOT / "tests" / name
        assert path.exists(), name
        assert pytest_ignore_collect(path, cast(pytest.Config, fast)), name
        assert not pytest_ignore_collect(path, pytestconfig) or pytestconfig.getoption("--fast")
    assert not pytest_ignore_collect(ROOT / "tests" / "test_clock.py", cast(pytest.Config, fast))


def test_the_files_that_begin_are_there() -> None:
    assert [name for name in FIRST if not (ROOT / "tests" / name).is_file()] == []
