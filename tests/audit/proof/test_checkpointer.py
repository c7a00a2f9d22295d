from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST, newest_checkpoint, read_checkpoints
from pgjit.audit.proof.checkpointer import Checkpointer, CheckpointPace
from pgjit.audit.proof.signer import NotSigned
from tests.audit.proof.journals import KEY, verified, without_leaves
from tests.audit.proof.written_journal import SIGNER, Received, SteppedClock, WrittenByHand, opened


class FailingSigner:
    """Fails while `failing`; signs with another key while `wrong`."""

    def __init__(self) -> None:
        self.failing = self.wrong = False
        self.public = SIGNER.public

    async def sign(self, message: bytes) -> bytes:
        if self.failing:
            raise NotSigned("the key service does not answer")
        return bytes(64) if self.wrong else await SIGNER.sign(message)


async def healthy(checkpointer: Checkpointer) -> bool:
    return not checkpointer.behind


async def test_lines_are_signed_when_they_are_on_the_disk(tmp_path: Path) -> None:
    journal, received = WrittenByHand(tmp_path), Received()
    checkpointer = await opened(journal, received)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    assert (received.sizes, journal.flushes) == ([3], 1)
    assert newest_checkpoint(tmp_path) == received.newest == checkpointer.signed
    assert verified(tmp_path).signed == 3


async def test_no_checkpoint_is_made_without_news_until_the_heartbeat(tmp_path: Path) -> None:
    journal, received, clock = WrittenByHand(tmp_path), Received(), SteppedClock()
    checkpointer = await opened(journal, received, clock=clock)
    await checkpointer.checkpoint()
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    await checkpointer.checkpoint()
    assert received.sizes == [3]
    clock.pass_seconds(3600)
    await checkpointer.checkpoint()
    assert received.sizes == [3, 3]


async def test_each_closed_segment_ends_in_a_checkpoint(tmp_path: Path) -> None:
    journal, received = WrittenByHand(tmp_path), Received()
    checkpointer = await opened(journal, received)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    journal.append(2, checkpointer)
    journal.rotate()
    journal.append(200, checkpointer)
    journal.rotate()
    journal.append(1, checkpointer)
    journal.rotate()
    await checkpointer.checkpoint()
    assert received.sizes == [3, 5, 205, 206]
    assert sorted(path.name[-15:] for path in tmp_path.glob("*.subtrees")) == [
        "000000.subtrees",
        "000005.subtrees",
        "000205.subtrees",
    ]
    found = verified(tmp_path)
    assert (found.intact, found.signed, found.checkpoints) == (True, 206, 4)
    without = [path.read_bytes() for path in sorted(tmp_path.glob("*.leaves"))]
    without_leaves(tmp_path)
    for path in tmp_path.glob("*.subtrees"):
        path.unlink()
    await opened(journal)
    assert [path.read_bytes() for path in sorted(tmp_path.glob("*.leaves"))][:3] == without[:3]


async def test_lines_that_a_crash_left_unsigned_are_adopted(tmp_path: Path) -> None:
    journal = WrittenByHand(tmp_path)
    checkpointer = await opened(journal)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    journal.append(4, checkpointer)
    journal.rotate()
    journal.append(2, checkpointer)  # the process ends here
    received = Received()
    restarted = await opened(WrittenByHand(tmp_path), received)
    await restarted.checkpoint()
    assert received.sizes == [9]
    assert verified(tmp_path).signed == 9


async def test_it_runs_until_it_is_stopped_and_signs_what_is_left(tmp_path: Path) -> None:
    journal, received = WrittenByHand(tmp_path), Received()
    checkpointer = await opened(journal, received, pace=CheckpointPace(seconds=3600, records=5))
    running = asyncio.create_task(checkpointer.run())
    journal.append(5, checkpointer)
    await received.one()
    journal.append(2, checkpointer)
    checkpointer.stop()
    await running
    assert received.sizes == [5, 7]


async def test_it_signs_after_the_interval(tmp_path: Path) -> None:
    journal, received = WrittenByHand(tmp_path), Received()
    checkpointer = await opened(journal, received, pace=CheckpointPace(seconds=0.001))
    running = asyncio.create_task(checkpointer.run())
    journal.append(1, checkpointer)
    await received.one()
    checkpointer.stop()
    await running


@pytest.mark.parametrize("fault", ["signer", "key", "disk", "flush", "folder"])
async def test_a_failure_delays_checkpoints_and_loses_nothing(
    tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    journal, received, signer = WrittenByHand(folder), Received(), FailingSigner()
    checkpointer = await opened(journal, received, signer=signer)
    journal.append(3, checkpointer)
    journal.rotate()
    journal.append(3, checkpointer)
    signer.failing, signer.wrong, journal.failing = fault == "signer", fault == "key", fault == "flush"
    if fault == "disk":
        (folder / f"{NEWEST}.part").mkdir()
    elif fault == "folder":
        folder.rename(tmp_path / "away")
    await checkpointer.checkpoint()
    await checkpointer.checkpoint()
    assert received.sizes == []
    assert checkpointer.behind
    assert caplog.text.count("no checkpoint of") == 1
    signer.failing = signer.wrong = journal.failing = False
    if fault == "disk":
        (folder / f"{NEWEST}.part").rmdir()
    elif fault == "folder":
        (tmp_path / "away").rename(folder)
    journal.append(1, checkpointer)
    await checkpointer.checkpoint()
    assert received.sizes == [3, 7]
    assert verified(folder).signed == 7
    assert "are made again" in caplog.text
    assert await healthy(checkpointer)


async def test_a_journal_that_began_anew_has_a_tree_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    journal, received = WrittenByHand(folder), Received()
    checkpointer = await opened(journal, received)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    journal.append(3, checkpointer)
    shutil.rmtree(folder)
    folder.mkdir()
    anew = WrittenByHand(folder, "pgjit.example/journal/w1")
    journal.origin = anew.origin
    anew.append(2, checkpointer)
    await checkpointer.checkpoint()
    assert received.sizes == [3, 2]
    assert received.newest is not None
    received.newest.check_signed([KEY._replace(name=anew.origin)])
    assert received.newest.checkpoint.origin == anew.origin


async def test_nothing_of_the_old_log_is_kept_in_a_folder_in_which_a_new_one_may_begin(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    journal, received = WrittenByHand(folder), Received()
    checkpointer = await opened(journal, received)
    journal.append(3, checkpointer)
    shutil.rmtree(folder)
    await checkpointer.checkpoint()
    folder.mkdir()
    await checkpointer.checkpoint()
    assert list(folder.iterdir()) == []
    assert checkpointer.behind
    anew = WrittenByHand(folder, "pgjit.example/journal/w1")
    journal.origin = anew.origin
    await checkpointer.checkpoint()  # the new log has a name, and no line yet
    anew.append(2, checkpointer)
    await checkpointer.checkpoint()
    kept = [each for _, each in read_checkpoints(folder / CHECKPOINTS)]
    assert [
        (each.checkpoint.origin, each.checkpoint.size) for each in kept if isinstance(each, SignedCheckpoint)
    ] == [(anew.origin, 2)]
    assert received.sizes == [2]


async def test_a_crash_between_the_two_files_leaves_a_journal_that_goes_on(tmp_path: Path) -> None:
    journal = WrittenByHand(tmp_path)
    checkpointer = await opened(journal)
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    before = (tmp_path / NEWEST).read_bytes()
    journal.append(3, checkpointer)
    await checkpointer.checkpoint()
    (tmp_path / NEWEST).write_bytes(before)  # the crash came before it was replaced
    with (tmp_path / CHECKPOINTS).open("ab") as file:
        file.write(b'{"time":"2026')  # and the one before in the middle of a line
    received = Received()
    restarted = await opened(journal, received)
    assert restarted.signed is not None
    assert restarted.signed.checkpoint.size == 6
    journal.append(1, restarted)
    await restarted.checkpoint()
    assert received.sizes == [7]
    assert verified(tmp_path).intact
