"""A process that is killed between any two steps of writing a checkpoint leaves a journal that goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgjit.audit import durable_file
from pgjit.audit.durable_file import append_line, replace_file
from pgjit.audit.proof import side_files
from tests.audit.proof.journals import verified
from tests.audit.proof.written_journal import Received, WrittenByHand, opened


class Killed(BaseException):
    """The process ends here. What it has written so far stays, as it does after `kill -9`."""


class StepsUntilDeath:
    """In the place of `os`: the given number of steps is done, of the next only half a write."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.path = os.path

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def step(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def open(self, *arguments: Any) -> int:
        self.step()
        return os.open(*arguments)

    def fsync(self, descriptor: int) -> None:
        self.step()
        os.fsync(descriptor)

    def write(self, descriptor: int, content: bytes) -> int:
        if self.left == 0:
            os.write(descriptor, content[: len(content) // 2])
        self.step()
        return os.write(descriptor, content)


async def live(folder: Path, received: Received) -> None:
    journal = WrittenByHand(folder)
    checkpointer = await opened(journal, received)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    journal.append(3, checkpointer)
    journal.rotate()
    journal.append(2, checkpointer)
    await checkpointer.checkpoint()


async def test_after_a_kill_at_any_step_the_journal_goes_on_and_what_was_sent_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename: Callable[[Path, Path], Path] = Path.rename
    killed, steps, sent = True, 0, set()
    while killed:
        folder = tmp_path / str(steps)
        folder.mkdir()
        death, received, killed = StepsUntilDeath(steps), Received(), False

        def renamed(path: Path, to: Path, death: StepsUntilDeath = death) -> Path:
            death.step()
            return rename(path, to)

        with monkeypatch.context() as patched:
            patched.setattr(durable_file, "os", death)
            patched.setattr(side_files, "os", death)
            patched.setattr(Path, "rename", renamed)
            try:
                await live(folder, received)
            except Killed:
                killed = True
        given = [] if received.newest is None else [("sent", received.newest)]
        assert verified(folder, given=given).findings == () or received.newest is None
        journal, again = WrittenByHand(folder), Received()
        restarted = await opened(journal, again)
        journal.append(1, restarted)
        await restarted.checkpoint()
        found = verified(folder, given=given)
        assert found.intact, (steps, found.findings)
        assert found.signed == found.lines == journal.lines
        sent.add(tuple(received.sizes))
        steps += 1
    assert sent == {(), (3,), (3, 6), (3, 6, 8)}
    assert steps > 30


def test_half_a_line_of_a_crash_is_removed_before_the_next_is_added(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for before, after in (
        (b"", b"new\n"),
        (b"half", b"new\n"),
        (b"one\nhalf", b"one\nnew\n"),
        (b"one\n", b"one\nnew\n"),
    ):
        path.write_bytes(before)
        append_line(path, b"new")
        assert path.read_bytes() == after


def test_a_file_is_replaced_as_a_whole_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    (tmp_path / "file.part").write_bytes(b"left by a crash, and longer")
    (tmp_path / "file.part").chmod(0o600)
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
