"""The cursor's file: replaced as a whole; what is not a cursor is an error, and never a beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.audit.telemetry.cursor import CursorDamaged, CursorFile, ExportPosition


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = CursorFile(tmp_path / "cursor")
    assert file.read() == ExportPosition()
    position = ExportPosition(7, "node/0/x", {"s": {"started": 5, "db.namespace": "shop"}})
    file.write(position)
    assert file.read() == position
    assert (tmp_path / "cursor").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"7", b'{"index":-1,"origin":"","sessions":{}}', b"\xff"])
def test_another_content_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cursor").write_bytes(content)
    with pytest.raises(CursorDamaged, match="remove it to send the whole journal again"):
        CursorFile(tmp_path / "cursor").read()
