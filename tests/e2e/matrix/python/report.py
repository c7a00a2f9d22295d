"""What a client program says: one JSON line per check. The next check is tried whatever became of the last."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

__all__ = ["BYTES", "NUMBERS", "VALUE", "check", "check_async", "place"]

BYTES = bytes(range(256))
VALUE = "0123456789abcdef" * 262_144
NUMBERS = 200_010_000  # the sum of 1 to 20,000


def check(name: str, run: Callable[[], object]) -> None:
    try:
        run()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is what the check has to tell
        _say(name, error)
    else:
        _say(name, None)


async def check_async(name: str, run: Callable[[], Awaitable[object]]) -> None:
    try:
        await run()
    except Exception as error:  # noqa: BLE001 - as above
        _say(name, error)
    else:
        _say(name, None)


def _say(name: str, error: Exception | None) -> None:
    line: dict[str, object] = {"check": name, "ok": error is None}
    if error is not None:
        line["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(line), flush=True)


def place() -> dict[str, str]:
    """Where to connect, for drivers that do not read libpq's environment."""
    import os

    names = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLROOTCERT")
    return {name.removeprefix("PG").lower(): os.environ[name] for name in names}
