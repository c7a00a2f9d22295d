"""The keys of salts: on the disk before they are used, one for each day, and gone for good once they are removed."""

from __future__ import annotations

import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pgjit.audit.redaction.salts import SaltFiles, read_salt_key

AT = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)


def test_a_key_is_kept_for_its_day_and_read_again_by_its_name(tmp_path: Path) -> None:
    salts = SaltFiles(tmp_path)
    key = salts.key_for(AT)
    assert salts.key_for(AT) is key
    assert SaltFiles(tmp_path).key_for(AT) == key
    assert read_salt_key(tmp_path, key.name) == key
    assert stat.S_IMODE((tmp_path / "salts").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "salts" / "2026-11-29").stat().st_mode) == 0o600
    assert salts.key_for(AT + timedelta(minutes=2)).day == "2026-11-30"


def test_each_member_of_each_record_has_a_salt_of_its_own(tmp_path: Path) -> None:
    key = SaltFiles(tmp_path).key_for(AT)
    assert len({key.salt("s/1", "statement/1"), key.salt("s/1", "statement/2"), key.salt("s/2", "statement/1")}) == 3


def test_a_key_that_was_removed_is_never_made_again(tmp_path: Path) -> None:
    salts = SaltFiles(tmp_path)
    key = salts.key_for(AT)
    assert salts.days_before(date(2026, 11, 29)) == []
    assert salts.days_before(date(2026, 11, 30)) == ["2026-11-29"]
    salts.drop(["2026-11-29"])
    assert salts.days_before(date(2026, 11, 30)) == []
    assert read_salt_key(tmp_path, key.name) is None
    assert salts.key_for(AT).name != key.name
    assert read_salt_key(tmp_path, key.name) is None
    assert read_salt_key(tmp_path, "../../etc/passwd") is None


def test_without_a_place_for_keys_there_is_no_salt(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        SaltFiles(tmp_path / "missing").key_for(AT)
    (tmp_path / "salts").mkdir()
    (tmp_path / "salts" / "2026-11-29").write_bytes(b"short")
    with pytest.raises(OSError, match="is no salt key: it has 5 bytes, not 32"):
        SaltFiles(tmp_path).key_for(AT)
