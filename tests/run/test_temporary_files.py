from __future__ import annotations

from pathlib import Path

from tests.run.temporary_files import has_room


def test_a_place_has_room_where_it_is_there_and_has_as_much(tmp_path: Path) -> None:
    assert has_room(tmp_path, 1)
    assert not has_room(tmp_path, 2**62)
    assert not has_room(tmp_path / "missing", 1)
