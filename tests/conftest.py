"""How the tests are run: what they need, how long they may take, what is printed, and how long properties are tried.

Properties: `fast` by default, `HYPOTHESIS_PROFILE=many` for `make test-properties`, `deep` for a night.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys

from hypothesis import settings

from tests.run.properties import find_out_less

# What is imported is compiled once, and not by every worker and every child anew: that is a tenth of the suite.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Thousands of tests are collected, and all of them stay: tests/run/workers.py turns the collector on again.
gc.disable()

# httpcore looks for it at each request, along the whole path: it is not there, and that is known now.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_PARTS = (
    "clusters", "database", "deadlines", "keys", "long", "needs", "progress", "reports", "stores", "temporary_files",
    "workers",
)  # fmt: skip
pytest_plugins = [f"tests.run.{part}" for part in _PARTS]

settings.register_profile("fast", max_examples=50, deadline=None)
settings.register_profile("many", max_examples=250, deadline=None)
settings.register_profile("deep", max_examples=5_000, deadline=None)
settings.load_profile(_profile := os.environ.get("HYPOTHESIS_PROFILE", "fast"))
if _profile != "deep":
    find_out_less()
