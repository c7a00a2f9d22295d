"""Places by key, up to a limit."""

from __future__ import annotations

from pgjit.proxy.quota import Quota


def test_a_place_given_back_can_be_taken_again() -> None:
    quota: Quota[str] = Quota(2)
    assert [quota.take("a"), quota.take("a"), quota.take("a"), quota.take("b")] == [True, True, False, True]
    quota.give_back("a")
    assert quota.take("a")
    assert (quota["a"], quota["b"], quota["c"], len(quota)) == (2, 1, 0, 2)


def test_nothing_is_kept_of_keys_that_have_nothing_inside() -> None:
    quota: Quota[int] = Quota(1)
    for key in range(100):
        assert quota.take(key)
        quota.give_back(key)
    assert not Quota[int](0).take(1)
    assert len(quota) == 0


def test_a_limit_may_come_with_the_call() -> None:
    quota: Quota[str] = Quota()
    assert not quota.full("a")
    assert [quota.take("a", most=2), quota.take("a", most=2), quota.take("a", most=2)] == [True, True, False]
    assert quota.take("a"), "without a limit there is always a place"


def test_some_may_be_taken_beyond_the_limit() -> None:
    quota: Quota[str] = Quota(1)
    assert [quota.take("a", beyond=1), quota.full("a"), quota.take("a", beyond=1)] == [True, True, True]
    assert not quota.take("a", beyond=1)
