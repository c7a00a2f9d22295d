"""Series of integers: what they cost is one addition, and values from outside cannot fill the memory."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.telemetry.metric_family import OTHER, Distribution, HistogramFamily, MetricText, NumberFamily

TEXT = MetricText(name="pgjit.logins", kind="counter", unit="{login}", description="logins", labels=("outcome",))


def test_a_series_is_the_same_object_for_the_same_labels() -> None:
    family = NumberFamily(TEXT)
    held = family.of("opened")
    held.value += 2
    family.of("opened").value += 1
    assert dict(family.collect()) == {("opened",): 3}


def test_a_family_is_bounded() -> None:
    family = NumberFamily(TEXT)
    for number in range(2000):
        family.of(f"made-up-{number}").value += 1
    collected = dict(family.collect())
    assert len(collected) <= 501
    assert sum(collected.values()) == 2000
    assert collected[OTHER,] > 1000


def test_labels_must_be_as_many_as_the_family_has() -> None:
    with pytest.raises(ValueError, match=r"pgjit\.logins has the labels"):
        NumberFamily(TEXT).of()


def test_numbers_are_read_when_they_are_collected(caplog: pytest.LogCaptureFixture) -> None:
    family = NumberFamily(TEXT)
    ages: dict[tuple[str, ...], float] = {("a",): 1.0}
    family.watch(lambda: {("broken",): 1 / 0})
    family.watch(lambda: ages)
    ages["a",] = 2.0
    assert dict(family.collect()) == {("a",): 2.0}
    assert "metric pgjit.logins cannot be read" in caplog.text


@given(st.lists(st.integers(0, 10**9)))
def test_every_duration_is_in_one_bucket_and_in_the_sum(durations: list[int]) -> None:
    distribution = Distribution((100, 1000, 10_000))
    for each in durations:
        distribution.record(each)
    assert sum(distribution.counts) == len(durations)
    assert distribution.total == sum(durations)
    for bucket, count in enumerate(distribution.counts):
        assert count == sum(1 for each in durations if bisect_left((100, 1000, 10_000), each) == bucket)


def test_a_bucket_has_its_upper_end() -> None:
    family = HistogramFamily(TEXT, (100, 200))
    for each in (100, 101, 200, 201):
        family.of("x").record(each)
    ((_, distribution),) = family.collect()
    assert distribution.counts == [1, 2, 1]
