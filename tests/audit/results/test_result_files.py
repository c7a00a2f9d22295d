"""Files of kept results: what a reference names is there, whole, whatever failed before or after."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pgjit.audit.results.result_files import ResultFiles, results_between
from pgjit.audit.results.stored_results import ResultFault, read_result, result_line


def members(files: ResultFiles, line: bytes) -> dict[str, object]:
    where = files.keep(line)
    return {"file": where.file, "offset": where.offset, "bytes": where.bytes, "sha256": where.sha256}


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, list[int]]:
    return tmp_path, [0]


def test_lines_are_found_by_their_references(place: tuple[Path, list[int]]) -> None:
    folder, line = place
    files = ResultFiles(folder, lambda: line[0])
    first, second = members(files, b'{"a":1}\n'), members(files, b'{"a":2}\n')
    files.rotate()
    line[0] = 7
    third = members(files, b'{"a":3}\n')
    files.flush()
    files.flush()
    files.close()
    assert [read_result([folder], each)["a"] for each in (first, second, third)] == [1, 2, 3]
    assert third["file"] == f"{7:020}.results"
    assert stat.S_IMODE((folder / f"{7:020}.results").stat().st_mode) == 0o600
    assert [path.name for path in results_between(folder, 0, 7)] == [first["file"]]
    assert [path.name for path in results_between(folder, 7, 8)] == [third["file"]]


def test_a_half_line_of_a_crash_is_never_read(place: tuple[Path, list[int]]) -> None:
    folder, _ = place
    (folder / f"{0:020}.results").write_bytes(b'{"half')
    files = ResultFiles(folder, lambda: 0)
    reference = members(files, b'{"a":1}\n')
    files.close()
    assert reference["offset"] == 6
    assert read_result([folder], reference) == {"a": 1}


def test_after_a_failed_write_it_probes_before_more_is_kept(
    place: tuple[Path, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = place
    files = ResultFiles(folder, lambda: 0)
    kept = members(files, b'{"a":1}\n')
    write, full = os.write, [True]

    def failing(descriptor: int, data: bytes) -> int:
        if full[0]:
            write(descriptor, bytes(data)[:3])
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match="No space"):
        files.keep(b'{"a":2}\n')
    before = files.writable
    full[0] = False
    assert (before, files.writable) == (False, True)
    again = members(files, b'{"a":2}\n')
    files.close()
    assert (again["offset"], read_result([folder], again), read_result([folder], kept)) == (8, {"a": 2}, {"a": 1})


def test_a_file_that_was_removed_or_changed_is_begun_anew(place: tuple[Path, list[int]]) -> None:
    folder, _ = place
    files = ResultFiles(folder, lambda: 0)
    reference = members(files, b'{"a":1}\n')
    path = folder / str(reference["file"])
    path.unlink()
    with pytest.raises(ResultFault, match="is not there"):
        result_line([folder], reference)
    assert read_result([folder], members(files, b'{"a":2}\n')) == {"a": 2}
    path.write_bytes(b"x" * 100)
    assert read_result([folder], members(files, b'{"a":3}\n')) == {"a": 3}
    files.flush()
    files.close()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"file": "../x.results"}, "no place"),
        ({"offset": 1}, "other bytes"),
        ({"sha256": "00"}, "other bytes"),
        ({"bytes": None}, "no place"),
    ],
)
def test_a_reference_that_does_not_hold_is_refused(
    place: tuple[Path, list[int]], changed: dict[str, object], why: str
) -> None:
    folder, _ = place
    files = ResultFiles(folder, lambda: 0)
    reference = members(files, b'{"a":1}\n') | changed
    files.close()
    with pytest.raises(ResultFault, match=why):
        result_line([folder], reference)
