"""Old checkpoints go; what a verification needs stays."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, checkpoint_line, read_checkpoints
from pgjit.audit.proof.checkpoint_thinning import thin_checkpoints
from pgjit.audit.proof.note import NoteSignature
from tests.audit.proof.journals import AT, make_journal, record, sign, verified

LINES = list(map(record, range(1, 28)))


def write(folder: Path, *rows: tuple[int, datetime]) -> None:
    content = b"".join(checkpoint_line(sign(LINES[:size]), at) + b"\n" for size, at in rows)
    (folder / CHECKPOINTS).write_bytes(content)


def sizes(folder: Path) -> list[int]:
    return [orjson.loads(line)["size"] for line in (folder / CHECKPOINTS).read_bytes().splitlines()]


def test_old_ones_stay_for_each_hour_then_for_each_day(tmp_path: Path) -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    old, recent = AT - 100 * day, AT - 2 * day
    moments = [
        *((1 + n, old + n * hour) for n in range(3)),  # of one day: the last stays
        *((4 + n, old + day + n * hour) for n in range(2)),
        *((6 + n, recent + n * hour / 4) for n in range(8)),  # of two hours: two stay
        *((14 + n, AT - timedelta(seconds=30 - n)) for n in range(5)),  # of today: all
    ]
    write(tmp_path, *moments)
    assert thin_checkpoints(tmp_path, AT) == 9
    assert sizes(tmp_path) == [3, 5, 9, 13, 14, 15, 16, 17, 18]
    before = (tmp_path / CHECKPOINTS).stat()
    assert thin_checkpoints(tmp_path, AT) == 0
    assert (tmp_path / CHECKPOINTS).stat() == before
    assert (before.st_mode & 0o777, thin_checkpoints(tmp_path / "none", AT)) == (0o600, 0)


def test_ends_of_segments_the_newest_of_a_witness_and_what_is_no_checkpoint_stay(tmp_path: Path) -> None:
    old = AT - timedelta(days=400)
    (tmp_path / "00000000000000000004.jsonl").touch()
    (tmp_path / "00000000000000000006.subtrees").touch()  # of a segment that was removed
    cosigned = sign(LINES[:2]).with_cosignatures([NoteSignature("witness.example/w1", b"\x00" * 4, b"\x01" * 72)])
    lines = [checkpoint_line(sign(LINES[:size]), old) for size in range(1, 9)]
    lines[1] = checkpoint_line(cosigned, old)
    lines.insert(4, b"what is this")
    (tmp_path / CHECKPOINTS).write_bytes(b"".join(line + b"\n" for line in lines))
    assert thin_checkpoints(tmp_path, AT) == 4
    stayed = (tmp_path / CHECKPOINTS).read_bytes().splitlines()
    assert stayed == [lines[1], lines[3], lines[4], lines[6], lines[8]]


@given(ages=st.lists(st.integers(0, 24 * 120), min_size=27, max_size=27))
def test_what_was_intact_is_intact_and_a_change_is_still_found(ages: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_journal(folder, lines=LINES)
        rows = zip(range(1, 28), sorted(ages, reverse=True), strict=True)
        write(folder, *((size, AT - timedelta(hours=age)) for size, age in rows))
        thin_checkpoints(folder, AT)
        assert verified(folder).signed == 27
        assert sizes(folder)[-1] == 27
        assert all(not isinstance(each, Exception) for _, each in read_checkpoints(folder / CHECKPOINTS))
        path = folder / "00000000000000000010.jsonl"
        path.write_bytes(path.read_bytes().replace(b"SELECT 1", b"SELECT 2", 1))
        (finding, *_) = verified(folder).findings
        assert (finding.kind, finding.line) == ("changed", 1)
