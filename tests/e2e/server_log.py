"""A PostgreSQL server's own log, read as what it ran: each execution of each backend, in order.

Decides how the server has to log, and what counts as one execution: a statement of a Query, an Execute, and a Parse
or Bind that failed (planning may run functions). Does not know pgjit, but for the text in place of a refused one.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from pgjit.demo.database import DemoDatabase

__all__ = ["BackendLog", "Ran", "ServerLog", "logging_all"]

_SETTINGS = {
    "log_statement": "'all'", "log_line_prefix": "'@%c %e %i@ '", "log_min_duration_statement": "-1",
    "log_duration": "off", "log_min_error_statement": "'error'", "log_error_verbosity": "'default'",
    "log_parameter_max_length": "-1",
}  # fmt: skip
# With auto_explain, which comes with an installed server, the plan of each execution follows, with its actual rows.
_PLANS = {
    "session_preload_libraries": "'auto_explain'", "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on", "auto_explain.log_timing": "off", "auto_explain.log_format": "'json'",
}  # fmt: skip
_ENTRY = re.compile(
    r"^@(?P<session>[0-9a-f]+\.[0-9a-f]+) (?P<sqlstate>\w{5}) (?P<tag>[^@\n]*)@ "
    r"(?P<level>[A-Z]+):  (?P<text>.*(?:\n\t.*)*)", re.MULTILINE,
)  # fmt: skip
_EXECUTE = re.compile(r"execute (?P<again>fetch from )?(?P<name>\S+): ", re.ASCII)
_PLAN = re.compile(r"duration: [\d.]+ ms  plan:\n")
_REFUSED = "pgjit_deny_"  # part of what is sent in place of a refused statement
_WRITES = {"Insert", "Update", "Delete"}


@dataclass(slots=True)
class Ran:
    text: str  # as the client wrote it: of a Query, one of its statements
    extended: bool
    rejected: bool = False  # at Parse or Bind
    again: bool = False  # of a portal that was suspended
    parameters: str | None = None  # as the server writes them


@dataclass(slots=True)
class BackendLog:
    ran: list[Ran] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # their SQLSTATEs; a FATAL one ends the session, no execution
    refused: int = 0  # messages that came in place of a refused one
    plans: list[tuple[str, int]] = field(default_factory=list)  # text and rows of those that ran to their end


class ServerLog:
    """What is written to the log from now on."""

    def __init__(self, file: Path, *, plans: bool) -> None:
        self._file = file
        self._begin = file.stat().st_size
        self.plans = plans

    def backends(self) -> dict[str, BackendLog]:
        """By what the server calls the session: `%c`, the time at which it began and its process id."""
        found: dict[str, BackendLog] = defaultdict(BackendLog)
        with self._file.open("rb") as file:
            file.seek(self._begin)
            text = file.read().decode()
        for entry in _ENTRY.finditer(text):
            _add(found[entry["session"]], entry)
        return dict(found)


def _add(backend: BackendLog, entry: re.Match[str]) -> None:
    level, text = entry["level"], entry["text"].replace("\n\t", "\n")
    if level == "LOG" and text.startswith("statement: "):
        parts = text.removeprefix("statement: ").split(";")
        backend.ran += [Ran(part.strip(), extended=False) for part in parts if part.strip()]
    elif level == "LOG" and (execute := _EXECUTE.match(text)):
        backend.ran.append(Ran(text[execute.end() :].strip(), extended=True, again=bool(execute["again"])))
    elif level == "LOG" and (plan := _PLAN.match(text)):
        found = json.loads(text[plan.end() :])
        backend.plans.append((found["Query Text"].strip(), _rows(found["Plan"])))
    elif level == "DETAIL" and text.lower().startswith("parameters: ") and backend.ran:
        backend.ran[-1].parameters = text.partition(": ")[2]
    elif level == "ERROR":
        backend.refused += _REFUSED in text
        if _REFUSED not in text:
            backend.errors.append(entry["sqlstate"])
    elif level == "STATEMENT" and entry["tag"] in ("PARSE", "BIND") and _REFUSED not in text:
        backend.ran.append(Ran(text.strip().rstrip(";"), extended=True, rejected=True))


def _rows(plan: dict[str, Any]) -> int:
    """That it returned or, without RETURNING, that it wrote."""
    rows = float(plan["Actual Rows"]) * int(plan["Actual Loops"])
    if plan.get("Operation") in _WRITES and not rows:
        return sum(map(_rows, plan.get("Plans", ())))
    return round(rows)


@asynccontextmanager
async def logging_all(database: DemoDatabase) -> AsyncIterator[ServerLog]:
    """Sessions that begin inside are logged; the server's settings are as before when it is left."""
    admin = await asyncpg.connect(database.superuser_dsn)
    try:
        plans = (Path(str(await admin.fetchval(_LIBRARIES))) / "auto_explain.so").exists()
        if plans:  # only so are its settings known
            await admin.execute("LOAD 'auto_explain'")
        settings = {**_SETTINGS, **(_PLANS if plans else {})}
        for name, value in settings.items():
            await admin.execute(f"ALTER SYSTEM SET {name} = {value}")
        await admin.execute("SELECT pg_reload_conf()")
        yield ServerLog(database.log, plans=plans)
        for name in settings:
            await admin.execute(f"ALTER SYSTEM RESET {name}")
        await admin.execute("SELECT pg_reload_conf()")
    finally:
        await admin.close()


_LIBRARIES = "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'"
