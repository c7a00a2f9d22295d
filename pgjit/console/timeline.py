"""The executions of a window as a drawing: when each ran, for how long, and how it ended. Pure.

Decides where each mark stands, in the units of the drawing. The page has the same in a table, for everybody who does
not look at drawings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

__all__ = ["LONG_SECONDS", "Mark", "Tick", "Timeline", "outcome_of", "timeline_of"]

LONG_SECONDS: Final = 1.0
"""An execution that takes longer stands out."""
_WIDTH, _LANE, _TOP = 1000.0, 16, 18
_LEAST = 2.0
_TICKS: Final = 5
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """`kind`: `completed`, `refused`, `failed`, `limited`, `cut` or `unknown`; `long` marks stand out."""

    x: float
    y: int
    width: float
    kind: str
    long: bool
    execution: str  # its id


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """`lanes`: the sessions, from the top."""

    marks: tuple[Mark, ...]
    lanes: tuple[str, ...]
    ticks: tuple[Tick, ...]
    height: int
    counts: Mapping[str, int]

    @property
    def words(self) -> str:
        """For those who do not see the drawing."""
        parts = [f"{count} {kind}" for kind, count in self.counts.items() if count]
        return ", ".join(parts) if parts else "none"


def timeline_of(executions: Sequence[Item]) -> Timeline | None:
    """None where nothing ran. The drawing begins with the first execution and ends with the last."""
    if not executions:
        return None
    begins = [datetime.fromisoformat(str(each["time"])).timestamp() for each in executions]
    lengths = [max(0, int(each.get("duration_us") or 0)) / 1e6 for each in executions]
    first = min(begins)
    whole = max(max(begin + length for begin, length in zip(begins, lengths, strict=True)) - first, 0.001)
    lanes = tuple(dict.fromkeys(str(each.get("session", "")) for each in executions))
    marks = []
    counts = dict.fromkeys(("completed", "refused", "failed", "limited", "cut", "unknown", "long"), 0)
    for each, begin, length in zip(executions, begins, lengths, strict=True):
        kind, long = outcome_of(each), length >= LONG_SECONDS
        counts[kind] += 1
        counts["long"] += long
        x = round((begin - first) / whole * (_WIDTH - _LEAST), 1)
        width = round(max(_LEAST, min(length / whole * _WIDTH, _WIDTH - x)), 1)
        y = _TOP + lanes.index(str(each.get("session", ""))) * _LANE
        marks.append(Mark(x, y, width, kind, long, str(each.get("execution", ""))))
    counts[f"longer than {LONG_SECONDS:g} s"] = counts.pop("long")
    return Timeline(tuple(marks), lanes, _ticks(whole), _TOP + len(lanes) * _LANE + 2, counts)


def outcome_of(execution: Item) -> str:
    """How it ended, in the words of the drawing. What has no outcome is unknown: it runs, or pgjit was killed."""
    if execution.get("decision") == "deny":
        return "refused"
    match execution.get("ended"):
        case "completed" | "suspended" | "skipped":
            return "completed"
        case "failed" | "limited" | "cut" | "refused" as ended:
            return str(ended)
        case _:
            return "unknown"


def _ticks(whole: float) -> tuple[Tick, ...]:
    return tuple(Tick(round(_WIDTH * at / _TICKS, 1), _elapsed(whole * at / _TICKS)) for at in range(_TICKS))


def _elapsed(seconds: float) -> str:
    if seconds < 60:
        return f"+{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"+{minutes} min" + (f" {rest} s" if rest else "")
