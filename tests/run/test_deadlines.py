"""Tests that hang on purpose, in a run of their own: each fails, its children are killed, and the run goes on."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.run.processes import Finished, finish, own

pytestmark = pytest.mark.live
ROOT = Path(__file__).parents[2]

_HEAD = """
import asyncio, contextlib, ctypes, subprocess, sys, threading, time
import psutil, pytest
from pathlib import Path
from tests.run.processes import finish, own, own_async

pytestmark = pytest.mark.live
in_time = pytest.mark.timeout(60)  # it does not hang, however busy the machine is
MARK = "a child of hanging tests in " + str(Path(__file__).parent)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(900)"
CHILD = (sys.executable, "-c", STUBBORN, MARK)
ITS_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}, {MARK!r}])"
PARENT = (sys.executable, "-c", ITS_PARENT, MARK)

@pytest.fixture
def hanging_teardown():
    yield
    time.sleep(900)

@pytest.fixture
async def hanging_async_teardown():
    yield
    await asyncio.Event().wait()
"""

# What hangs, and how it ends. After each the run goes on.
HANGS: dict[str, tuple[str, set[str]]] = {
    "a_test_that_sleeps": ("def test_{}(): time.sleep(900)", {"FAILED"}),
    "a_test_that_waits_in_an_event_loop": ("async def test_{}(): await asyncio.Event().wait()", {"FAILED"}),
    "a_coroutine_that_does_not_let_itself_be_cancelled": (
        """
        async def test_{}():
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
        """,
        {"FAILED", "ERROR"},
    ),
    "a_setup": (
        """
        @pytest.fixture
        def hanging_setup(): time.sleep(900)
        def test_{}(hanging_setup): pass
        """,
        {"ERROR"},
    ),
    "a_teardown_after_success": ("def test_{}(hanging_teardown): pass", {"PASSED", "ERROR"}),
    "a_teardown_after_failure": ("def test_{}(hanging_teardown): assert not 'this'", {"FAILED", "ERROR"}),
    "two_teardowns_after_a_test_that_hung": (
        "async def test_{}(hanging_teardown, hanging_async_teardown): await asyncio.Event().wait()",
        {"FAILED", "ERROR"},
    ),
    "a_child_that_ignores_sigterm": (
        """
        def test_{}():
            with own(*CHILD) as process:
                process.communicate()
        """,
        {"FAILED"},
    ),
    "a_child_of_a_child_that_is_awaited": (
        """
        async def test_{}():
            async with own_async(*PARENT) as process:
                await process.communicate()
        """,
        {"FAILED"},
    ),
    "a_program_that_takes_too_long": ("def test_{}(): finish(*PARENT, seconds=0.5)", {"FAILED"}),
    "a_child_that_a_fixture_owns": (
        """
        @pytest.fixture
        def owned():
            with own(*PARENT) as process:
                yield process
                process.terminate()
                time.sleep(900)
        def test_{}(owned): assert not "this"
        """,
        {"FAILED", "ERROR"},
    ),
    "a_child_that_nobody_owns": (
        """
        @in_time
        def test_{}():
            process = subprocess.Popen(CHILD, stdout=subprocess.DEVNULL)
            process.returncode = 0  # its destructor would warn
        """,
        {"PASSED", "ERROR"},
    ),
    "nothing_after_all_of_them": (
        """
        @in_time
        def test_{}():
            found = psutil.process_iter(["cmdline"])
            left = [process for process in found if MARK in (process.info["cmdline"] or [])]
            assert psutil.wait_procs(left, timeout=30)[1] == []
        """,
        {"PASSED"},
    ),
}


def _written(folder: Path, *tests: str) -> Path:
    file = folder / "test_hanging.py"
    file.write_text(_HEAD + "\n".join(textwrap.dedent(test) for test in tests))
    return file


# The process beside the run allows three times `timeout_again` for the exit: a busy machine needs more than 3 s.
def _command(file: Path, *arguments: str) -> list[str]:
    wanted = [f"tests.run.{part}" for part in ("deadlines", "needs", "schedule")]
    unused = [f"no:{plugin}" for plugin in ("cacheprovider", "hypothesispytest", "pytest_cov", "anyio")]
    plugins = [word for plugin in (*wanted, *unused) for word in ("-p", plugin)]
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(file.parent), "-o", "timeout_again=2")
    return [
        sys.executable, "-m", "pytest", *plugins, *settings, "--timeout=2", "-v", "--tb=short", *arguments, str(file)
    ]  # fmt: skip


def _run(file: Path, *arguments: str) -> Finished:
    return finish(*_command(file, *arguments), seconds=240, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _left(folder: Path) -> list[psutil.Process]:
    """Children of the hanging tests in that folder, wherever they are."""
    found = psutil.process_iter(["cmdline"])
    mark = f"a child of hanging tests in {folder}"
    return [process for process in found if mark in (process.info["cmdline"] or [])]


_LOOPS = """
import asyncio, uvloop

def pytest_asyncio_loop_factories():
    return {"it": %s.new_event_loop}
"""


_NO_SIGNAL_IS_HEARD = """
def test_no_signal_is_heard():
    with own(*PARENT) as process:
        c, lock = ctypes.PyDLL(None), ctypes.create_string_buffer(256)
        c.pthread_mutex_lock(lock)
        c.pthread_mutex_lock(lock)  # waits for itself, in C, and holds the interpreter
"""
_HANGING = tuple(test.format(name) for name, (test, _) in HANGS.items())
_AN_EXIT = "@in_time\ndef test_it(): threading.Thread(target=time.sleep, args=(900,)).start()"

# Each run has what is in its conftest, its tests, and arguments of pytest. They wait most of the time: all at once.
RUNS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "asyncio": (_LOOPS % "asyncio", _HANGING, ()),
    "uvloop": (_LOOPS % "uvloop", _HANGING, ()),
    "deaf": ("", (_NO_SIGNAL_IS_HEARD,), ()),
    **{
        f"deaf worker, {files}": (
            "",
            (_NO_SIGNAL_IS_HEARD, "@in_time\ndef test_other(): pass"),
            ("-n", "1", "--dist", files),
        )
        for files in ("load", "loadfile")
    },
    "exit": ("", (_AN_EXIT,), ()),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: tmp_path_factory.mktemp("hanging") for name in RUNS}


@pytest.fixture(scope="module")
def runs(folders: Mapping[str, Path]) -> Iterator[dict[str, Future[Finished]]]:
    with ThreadPoolExecutor(len(RUNS)) as pool:
        begun = {}
        for name, (configuration, tests, arguments) in RUNS.items():
            (folders[name] / "conftest.py").write_text(configuration)
            begun[name] = pool.submit(_run, _written(folders[name], *tests), *arguments)
        yield begun


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", HANGS)
def test_what_hangs_is_ended_and_the_run_goes_on(name: str, loop: str, runs: Mapping[str, Future[Finished]]) -> None:
    hung = runs[loop].result()
    told = re.compile(rf"::test_{name}(?:\[it\])? .*%")
    lines = [line.split() for line in hung.out.splitlines() if told.search(line)]
    assert {line[1] for line in lines} == HANGS[name][1], hung.out + hung.err


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_of_what_hung_no_child_is_left(
    loop: str, runs: Mapping[str, Future[Finished]], folders: Mapping[str, Path]
) -> None:
    # That the tests' own contexts ended them, and not the process beside the run, is seen by the last of those tests.
    assert runs[loop].result().status == pytest.ExitCode.TESTS_FAILED
    _see_that_none_is_left(folders[loop])


def test_where_python_runs_no_more_the_run_is_ended_and_shows_where_it_stood(
    runs: Mapping[str, Future[Finished]], folders: Mapping[str, Path]
) -> None:
    said = runs["deaf"].result()
    assert said.status == -signal.SIGABRT
    assert "in test_no_signal_is_heard" in said.err
    _see_that_none_is_left(folders["deaf"])


@pytest.mark.parametrize("files", ["load", "loadfile"])
def test_a_worker_that_is_ended_so_is_replaced_and_the_run_comes_to_its_end(
    files: str, runs: Mapping[str, Future[Finished]], folders: Mapping[str, Path]
) -> None:
    said = runs[f"deaf worker, {files}"].result()
    assert said.status == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in said.out.splitlines()[-1]
    _see_that_none_is_left(folders[f"deaf worker, {files}"])


def test_an_exit_that_hangs_is_ended(runs: Mapping[str, Future[Finished]]) -> None:
    said = runs["exit"].result()
    assert said.status == -signal.SIGABRT
    assert "1 passed" in said.out


def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    test = """
    def test_it():
        with own(*PARENT) as process:
            print("\\nbegun", flush=True)
            process.communicate()
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # It is killed from here, before a limit of its own ends its test, and the children with it.
    command = _command(_written(tmp_path, test), "-s", "--timeout=600")
    with own(*command, cwd=ROOT, env=environment) as run:
        assert run.stdout is not None
        while "begun" not in (line := run.stdout.readline()):
            assert line
        assert _left(tmp_path)
        run.kill()
        run.wait(30)
        _see_that_none_is_left(tmp_path)


def _see_that_none_is_left(folder: Path) -> None:
    """The process beside the run kills what it left: that is seen soon after the end of the run."""
    _, left = psutil.wait_procs(_left(folder), timeout=60)
    assert left == []
    assert _left(folder) == []
