from __future__ import annotations

import re

from pgjit.random_id import random_id


def test_ids_are_short_plain_and_all_different() -> None:
    ids = {random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[a-z2-7]{16}", each) for each in ids)
