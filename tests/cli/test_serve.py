"""`pgjit serve` starts without libraries that its configuration has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The store on PostgreSQL, its upgrade, the API for people, notifications, Azure, archives, what draws help.
NOT_ALWAYS_NEEDED = (
    "aiohttp", "aiosmtplib", "alembic", "asyncpg", "azure", "fsspec", "mako", "pgjit.api.endpoints", "pgjit.demo",
    "pygments", "rich", "slack_sdk", "sqlalchemy.orm",
)  # fmt: skip
MODULES = 810
"""More of libraries than are imported today (791). A count, as time depends on the machine."""


@pytest.mark.live
def test_serve_imports_only_what_its_configuration_needs() -> None:
    program = f"""
import sys
import pgjit.cli.run, pgjit.cli.commands.serve, pgjit.cli.loop, pgjit.config, pgjit.app
if loaded := [name for name in {NOT_ALWAYS_NEEDED!r} if name in sys.modules and sys.modules[name] is not None]:
    sys.exit(f"imported without need: {{loaded}}")
others = [name for name in sys.modules if name.partition(".")[0] not in ("pgjit", "pgwire")]
if len(others) > {MODULES}:
    sys.exit(f"{{len(others)}} modules are imported")
"""
    played = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (played.returncode, played.stderr) == (0, "")
