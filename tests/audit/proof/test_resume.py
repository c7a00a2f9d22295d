from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST
from pgjit.audit.proof.resume import resume
from pgjit.audit.proof.side_files import read_subtrees, write_subtrees
from pgjit.audit.proof.tree import root
from pgjit.audit.segments import list_segments
from pgjit.errors import ServerUnavailable
from tests.audit.proof.journals import KEY, ORIGIN, edit_lines, make_journal, record, sign
from tests.run.rows import each_row

LINES = list(map(record, range(1, 28)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_untouched_journal_goes_on(tmp_path: Path) -> None:
    make_journal(tmp_path)
    before = content(tmp_path)
    resumed = resume(tmp_path, ORIGIN, [KEY])
    assert (resumed.size, resumed.segment) == (27, 20)
    assert resumed.checkpoint == sign(LINES)
    assert root(resumed.subtrees) == sign(LINES).checkpoint.root
    assert content(tmp_path) == before


def test_an_empty_folder_begins(tmp_path: Path) -> None:
    resumed = resume(tmp_path, ORIGIN, [KEY])
    assert (resumed.size, resumed.segment, resumed.checkpoint) == (0, 0, None)


def test_a_closed_segment_is_not_read_again(tmp_path: Path) -> None:
    make_journal(tmp_path)
    list_segments(tmp_path)[0].path.write_bytes(b"anything")
    assert resume(tmp_path, ORIGIN, [KEY]).size == 27


def test_segments_that_retention_removed_are_not_needed(tmp_path: Path) -> None:
    make_journal(tmp_path)
    list_segments(tmp_path)[0].path.unlink()
    assert resume(tmp_path, ORIGIN, [KEY]).size == 27


def remove(folder: Path, names: str) -> None:
    for path in folder.glob(names):
        path.unlink()


def replace_newest(folder: Path, private: Ed25519PrivateKey, origin: str = ORIGIN) -> None:
    (folder / NEWEST).write_bytes(sign(LINES, origin, private).note.content())
    (folder / CHECKPOINTS).unlink()


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a line of the open segment was changed": (
        lambda folder: edit_lines(folder, 2, lambda lines: lines.__setitem__(0, b"{}")),
        "Its first 27 lines are not those that its newest checkpoint signs.",
    ),
    "lines are missing": (
        lambda folder: edit_lines(folder, 2, lambda lines: lines.pop()),
        "It has 26 lines, and its newest checkpoint covers 27.",
    ),
    "the open segment is missing": (
        lambda folder: list_segments(folder)[2].path.unlink(),
        "It has 20 lines, and its newest checkpoint covers 27.",
    ),
    "everything but the checkpoint is missing": (
        lambda folder: remove(folder, "0*"),
        "It has 0 lines, and its newest checkpoint covers 27.",
    ),
    "a segment and its hashes are missing": (
        lambda folder: remove(folder, "00000000000000000010.*"),
        "00000000000000000000.jsonl, after its line 10: it has 10 lines, and 20 to the next segment.",
    ),
    "another key signed": (lambda folder: replace_newest(folder, OTHER), "it is not signed by the given key, but by"),
    "the checkpoint is no checkpoint": (
        lambda folder: (folder / NEWEST).write_bytes(b"x"),
        "it has no signatures after an empty line.",
    ),
    "the line of a checkpoint is not one": (
        lambda folder: (folder / CHECKPOINTS).write_bytes(b'{"x":1}\n'),
        "it is not a line with a checkpoint",
    ),
}


def test_a_journal_that_was_changed_is_not_signed_and_is_left_as_it_is(tmp_path: Path) -> None:
    def check(name: str) -> None:
        tamper, detail = TAMPERED[name]
        folder = tmp_path / name
        make_journal(folder)
        tamper(folder)
        before = content(folder)
        with pytest.raises(ServerUnavailable) as refused:
            resume(folder, ORIGIN, [KEY])
        assert refused.value.reference == "journal-tampered"
        assert detail in str(refused.value.detail)
        assert content(folder) == before

    each_row(TAMPERED, str, check)


def test_kept_hashes_that_are_wrong_are_made_again(tmp_path: Path) -> None:
    make_journal(tmp_path)
    before = content(tmp_path)
    kept = next(tmp_path.glob("*10.subtrees"))
    other = [subtree._replace(digest=bytes(32)) for subtree in read_subtrees(tmp_path, 10)]
    for change in (lambda: write_subtrees(tmp_path, 10, other), lambda: kept.write_bytes(b"[]"), kept.unlink):
        change()
        assert resume(tmp_path, ORIGIN, [KEY]).size == 27
        assert content(tmp_path) == before


def test_a_checkpoint_of_another_journal_is_refused(tmp_path: Path) -> None:
    make_journal(tmp_path)
    other = KEY._replace(name="another/w1")
    (tmp_path / CHECKPOINTS).unlink()
    (tmp_path / NEWEST).write_bytes(sign(LINES, other.name).note.content())
    with pytest.raises(ServerUnavailable, match="is not the one that was signed") as refused:
        resume(tmp_path, ORIGIN, [KEY, other])
    assert "is of the journal `another/w1`, and its origin is" in str(refused.value.detail)


def test_after_a_change_of_keys_the_key_before_is_accepted(tmp_path: Path) -> None:
    make_journal(tmp_path)
    new = KEY._replace(public=OTHER.public_key().public_bytes_raw())
    with pytest.raises(ServerUnavailable) as refused:
        resume(tmp_path, ORIGIN, [new])
    assert "previous_keys" in str(refused.value.hint)
    assert resume(tmp_path, ORIGIN, [new, KEY]).size == 27
