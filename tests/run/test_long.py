"""The list of long tests names tests that are there."""

from __future__ import annotations

from pathlib import Path

from tests.run.long import LONG_TESTS


def test_each_long_test_is_there() -> None:
    tests = Path(__file__).parents[1]
    for name in LONG_TESTS:
        file, *parts = name.split("::")
        text = (tests / file).read_text()
        if parts:
            assert f"def {parts[-1].partition('[')[0]}(" in text or file.startswith("grants/"), name
