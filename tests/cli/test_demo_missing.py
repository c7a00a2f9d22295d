"""Without `pgjit.demo`, as in a production image: its commands report it, and the others do without."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pgjit.cli.run import _command_line, run
from pgjit.cli.status import Status
from pgjit.cli.table import COMMANDS

EXPECTED = """\
error: command `{}` is not part of this installation [demo-not-installed]
detail: The package `pgjit.demo` is missing: a production image does not have it.
hint: Install it with: pip install 'pgjit[demo]'. Or build the image with: --target demo.
"""


@pytest.fixture(autouse=True)
def _hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _command_line.cache_clear()
    for name in list(sys.modules):
        if name.startswith(("pgjit.demo", "pgjit.cli.commands.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pgjit.demo", None)
    yield
    _command_line.cache_clear()  # of modules that were imported without it


@pytest.mark.parametrize("arguments", [("demo", "--once"), ("emulator", "--port", "0")])
def test_its_commands_say_that_it_is_missing(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Status.UNAVAILABLE
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", EXPECTED.format(arguments[0]))


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("demo", "emulator")])
def test_the_other_commands_do_not_need_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == Status.OK
    assert capsys.readouterr().err == ""
