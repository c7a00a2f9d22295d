"""A secret from a command: no shell, limits, and an error without the secret."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from pgjit.server.credential import CredentialUnavailable, FetchedSecret
from pgjit.server.secret_command import secret_of_command
from tests.run.waiting import until


async def _run(code: str, *arguments: str) -> FetchedSecret:
    return await secret_of_command((sys.executable, "-c", code, *arguments), timeout=30, refresh=60)


async def _failure(code: str) -> str:
    with pytest.raises(CredentialUnavailable) as raised:
        await _run(code)
    return str(raised.value).removeprefix(f"command `{sys.executable}` ").removeprefix("output of ")


@pytest.mark.parametrize(
    ("printed", "secret"),
    [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("a\n\n", "a\n"), (" x y\n", " x y"), ("ü", "ü")],
)
async def test_the_output_without_one_newline_is_the_secret(printed: str, secret: str) -> None:
    code = f"import sys; sys.stdout.buffer.write({printed.encode()!r}); sys.stderr.write('fetching')"
    assert await _run(code) == FetchedSecret(secret, 60)


async def test_no_shell_reads_its_arguments() -> None:
    argument = "$HOME; `id` | x > y"
    assert (await _run("import sys; print(sys.argv[1])", argument)).value == argument


async def test_it_has_nothing_to_read() -> None:
    assert (await _run("import sys; print(repr(sys.stdin.read()))")).value == "''"


async def test_a_failure_shows_the_commands_standard_error_without_the_secret() -> None:
    code = (
        "import sys; print('hunter2-hunter2'); print('token hunter2-hunter2 expired,\\nlog in', file=sys.stderr); "
        "sys.exit(3)"
    )
    assert await _failure(code) == "failed with status 3: token [hidden] expired, log in"
    assert await _failure("import sys; sys.exit(1)") == "failed with status 1"
    assert len(await _failure("import sys; sys.exit('x' * 100_000)")) < 400
    assert await _failure("import os; os.kill(os.getpid(), 9)") == "failed with status -9"


async def test_output_that_cannot_be_a_secret_is_reported() -> None:
    assert (await _failure("pass")).endswith("is empty")
    assert (await _failure("print()")).endswith("is empty")
    assert (await _failure(r"print('a\0b')")).endswith("holds a zero byte")
    assert (await _failure(r"import sys; sys.stdout.buffer.write(b'\xff')")).endswith("is not text")
    assert await _failure("print('x' * 70_000)") == "printed more than 65536 bytes"


async def test_a_missing_program_is_reported() -> None:
    with pytest.raises(CredentialUnavailable, match="command `/no/such/program` cannot be run: No such file"):
        await secret_of_command(("/no/such/program",), timeout=1, refresh=1)


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_it_is_stopped_with_all_that_it_started_when_its_time_is_over(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > '{pids}'; sleep 60"
    with pytest.raises(CredentialUnavailable, match="command `/bin/sh` did not end within 4 s"):
        await secret_of_command(("/bin/sh", "-c", script), timeout=4, refresh=1)
    for pid in map(int, pids.read_text().split()):
        await until(partial(_is_gone, pid))


async def test_the_event_loop_goes_on_while_it_runs(tmp_path: Path) -> None:
    let_go = tmp_path / "let go"
    waits = f"import os, time\nwhile not os.path.exists({str(let_go)!r}): time.sleep(0.01)\nprint('x')"
    running = asyncio.create_task(_run(waits))
    for _ in range(100):
        await asyncio.sleep(0)
        assert not running.done()
    let_go.touch()
    assert (await running).value == "x"
