from __future__ import annotations

import pytest

from pgjit.audit.redaction.commitment import SALT_BYTES, commitment, commitment_holds

SALT = bytes(range(SALT_BYTES))
VALUE = b"DELETE FROM users WHERE id=7"


def test_the_vector() -> None:
    assert commitment("sql", SALT, VALUE).hex() == "31359835308b40c0382f72b9438afd5f201fc0b98876f4cbe3722d96b2124c44"


def test_it_holds_for_its_own_name_salt_and_value_only() -> None:
    committed = commitment("sql", SALT, VALUE)
    assert commitment_holds(committed, "sql", SALT, VALUE)
    assert not commitment_holds(committed, "text", SALT, VALUE)
    assert not commitment_holds(committed, "sql", bytes(SALT_BYTES), VALUE)
    assert not commitment_holds(committed, "sql", SALT, VALUE + b" ")


def test_bytes_cannot_move_between_name_and_value() -> None:
    # Without the length of the name, both would be hashed alike.
    assert commitment("a" + SALT.decode(), SALT, b"") != commitment("a", SALT, SALT)


def test_a_salt_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="a salt has 16 bytes, not 0"):
        commitment("sql", b"", VALUE)
    with pytest.raises(ValueError, match="at most 65535 bytes"):
        commitment("x" * 65536, SALT, VALUE)
