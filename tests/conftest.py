"""How the tests are run: what they need, how long they may take, what is printed, and how long properties are tried.

Properties: `fast` by default, `HYPOTHESIS_PROFILE=deep` for a night.
"""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["tests.run.deadlines", "tests.run.keys", "tests.run.needs", "tests.run.progress"]

settings.register_profile("fast", max_examples=100, deadline=None)
settings.register_profile("deep", max_examples=5_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
