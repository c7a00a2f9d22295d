"""Commands of the operator: what they are given, and the bounds on what they print and how long they run."""

from __future__ import annotations

import sys

import pytest

from pgjit.external_command import CommandFailed, CommandResult, one_line, run_command

pytestmark = pytest.mark.live


async def _run(code: str, seconds: float = 60, given: bytes = b"") -> CommandResult:
    return await run_command((sys.executable, "-c", code), seconds=seconds, given=given)


async def test_it_gets_its_input_and_its_output_status_and_errors_are_returned() -> None:
    code = "import sys; print(len(sys.stdin.read())); print('why', file=sys.stderr); sys.exit(3)"
    assert await _run(code, given=b"x" * 200_000) == (3, b"200000\n", b"why\n")  # more than a pipe holds


async def test_a_command_that_does_not_read_its_input_is_no_failure() -> None:
    assert (await _run("print('done')", given=b"x" * 1_000_000)).output == b"done\n"


async def test_a_command_that_prints_too_much_fails() -> None:
    with pytest.raises(CommandFailed, match="printed more than 65536 bytes"):
        await _run("print('x' * 70_000)")


async def test_a_command_that_does_not_end_or_is_not_there_fails() -> None:
    with pytest.raises(CommandFailed, match=r"did not end within 0\.01 s"):
        await _run("import threading; threading.Event().wait()", 0.01)
    with pytest.raises(CommandFailed, match="command `/nonexistent` cannot be run: No such file"):
        await run_command(["/nonexistent"], seconds=1)


def test_errors_are_one_line_of_a_message() -> None:
    assert one_line("no such\nkey\n") == ": no such key"
    assert one_line(" \n") == ""
    assert len(one_line("x" * 10_000)) == 302
