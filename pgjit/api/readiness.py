"""Whether this node is ready: named checks, what is known of each, since when, and what to do.

Decides how the checks make one answer, how long a state has lasted, and how it is written: as Kubernetes
writes it (`[+]name ok`), or as JSON. What is checked, and which failure counts, is decided by `app/readiness.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

__all__ = ["CheckResult", "CheckState", "ReadinessBoard", "ReadinessCheck", "ReadinessReport"]

_log = logging.getLogger("pgjit.readiness")
_LOOK_EVERY = 5.0


class CheckState(StrEnum):
    OK = "ok"
    WARNING = "warning"  # people should look; the node goes on to serve
    FAILED = "failed"  # the node is not ready


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`known`: one line, with what was seen. `hint`: what to look at, where something is wrong."""

    state: CheckState
    known: str
    hint: str = ""

    @classmethod
    def of(cls, *, failed: bool = False, warns: bool = False, known: str, hint: str = "") -> CheckResult:
        state = CheckState.FAILED if failed else CheckState.WARNING if warns else CheckState.OK
        return cls(state, known, "" if state is CheckState.OK else hint)


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """`look` must be quick: it is called on the event loop."""

    name: str
    look: Callable[[], CheckResult]


@dataclass(frozen=True, slots=True)
class SeenCheck:
    name: str
    result: CheckResult
    since: datetime

    @property
    def document(self) -> dict[str, str]:
        since = self.since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        document = {"state": self.result.state.value, "known": self.result.known, "since": since}
        return document | ({"hint": self.result.hint} if self.result.hint else {})


_SIGNS = {CheckState.OK: "[+]", CheckState.WARNING: "[!]", CheckState.FAILED: "[-]"}


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    checks: tuple[SeenCheck, ...]
    unknown: tuple[str, ...] = ()  # names to be excluded that no check has

    @property
    def ready(self) -> bool:
        return not any(each.result.state is CheckState.FAILED for each in self.checks)

    @property
    def warnings(self) -> list[str]:
        found = [
            f"{each.name}: {each.result.known}" for each in self.checks if each.result.state is CheckState.WARNING
        ]
        return found + [f"no check has the name {name}, so it cannot be excluded" for name in self.unknown]

    @property
    def document(self) -> dict[str, object]:
        """As before there were details: names and whether they hold."""
        holds = {each.name: each.result.state is not CheckState.FAILED for each in self.checks}
        return {"status": self._status, "checks": holds, "warnings": self.warnings}

    @property
    def verbose_document(self) -> dict[str, object]:
        checks = {each.name: each.document for each in self.checks}
        return {"status": self._status, "checks": checks, "warnings": self.warnings}

    @property
    def text(self) -> str:
        lines = []
        for each in self.checks:
            detail = each.document
            lines.append(f"{_SIGNS[each.result.state]}{each.name} {detail['state']}: {detail['known']}")
            if each.result.state is not CheckState.OK:
                lines.append(f"   since {detail['since']}" + (f"; {detail['hint']}" if "hint" in detail else ""))
        lines += [f"[!]exclude warning: no check has the name {name}" for name in self.unknown]
        return "\n".join([*lines, f"readyz check {'passed' if self.ready else 'failed'}", ""])

    @property
    def _status(self) -> str:
        return "ready" if self.ready else "not ready"


class ReadinessBoard:
    """Looks at the checks when it is asked, and now and then by itself, so that `since` is right."""

    def __init__(
        self,
        checks: Callable[[], Sequence[ReadinessCheck]],
        clock: Callable[[], datetime],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`checks` returns those of now. `before`: called when somebody asks, to start what is slow."""
        self._checks = checks
        self._clock = clock
        self._before = before
        self._seen: dict[str, SeenCheck] = {}
        self._logged: dict[str, str] | None = None  # what failed, as last logged

    def asked(self, exclude: Collection[str] = ()) -> ReadinessReport:
        """For a probe. `exclude`: names of checks that do not count for it."""
        self._before()
        report = self.look()
        names = {each.name for each in report.checks}
        left = tuple(each for each in report.checks if each.name not in exclude)
        return ReadinessReport(left, tuple(name for name in dict.fromkeys(exclude) if name not in names))

    def look(self) -> ReadinessReport:
        now, checks = self._clock(), self._checks()
        for check in checks:
            result, before = _looked_at(check), self._seen.get(check.name)
            since = before.since if before is not None and before.result.state is result.state else now
            self._seen[check.name] = SeenCheck(check.name, result, since)
        report = ReadinessReport(tuple(self._seen[check.name] for check in checks))
        self._log_change(report)
        return report

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._keep_looking(), name="readiness")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self.look()

    def _log_change(self, report: ReadinessReport) -> None:
        failed = {each.name: each.result.known for each in report.checks if each.result.state is CheckState.FAILED}
        before, self._logged = self._logged, failed
        if failed and (before is None or before.keys() != failed.keys()):
            _log.warning(
                "this node is not ready: %s", "; ".join(f"{name}: {known}" for name, known in failed.items())
            )
        elif not failed and before != {}:
            _log.info("this node is ready")


def _looked_at(check: ReadinessCheck) -> CheckResult:
    try:
        return check.look()
    except Exception as fault:  # noqa: BLE001 - what cannot be looked at does not count as good
        _log.exception("readiness check %s failed", check.name)
        return CheckResult(CheckState.FAILED, f"it could not be looked at: {type(fault).__name__}")
