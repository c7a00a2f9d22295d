"""The secret in a cookie: what is derived from it, and that nothing leads back."""

from __future__ import annotations

import pytest

from pgjit.console.cookie_secret import CookieSecret, SealBroken, same
from tests.run.rows import table


def test_each_secret_is_new_and_all_that_is_derived_differs() -> None:
    secrets = [CookieSecret.new() for _ in range(20)]
    derived = [value for each in secrets for value in (each.text, each.id, each.csrf, each.sign(""))]
    assert len(set(derived)) == len(derived)
    assert all(len(each.text) == 43 for each in secrets)


def test_what_is_sealed_is_opened_by_its_secret_alone() -> None:
    mine, other = CookieSecret.new(), CookieSecret.new()
    sealed = mine.seal("a token")
    assert mine.open(sealed) == "a token"
    assert mine.seal("a token") != sealed
    assert "token" not in sealed
    for wrong in (sealed[:-1], sealed[:-2] + "AA", "", "é", "A" * 20, "A" + sealed):
        with pytest.raises(SealBroken):
            mine.open(wrong)
    with pytest.raises(SealBroken):
        other.open(sealed)


@table("text", [None, "", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "é", "A" * 43 + "\n", " " + "A" * 43])
def test_what_no_cookie_of_ours_has_is_no_secret(text: str | None) -> None:
    assert CookieSecret.read(text) is None


def test_a_secret_is_not_in_its_representation() -> None:
    secret = CookieSecret.new()
    assert secret.text not in repr(secret)
    assert CookieSecret.read(secret.text) == secret


def test_texts_of_any_kind_are_compared() -> None:
    assert same("é", "é")
    assert not same("é", "e")
    assert not same("", "e")
