"""The plots of the report, as SVG that stands in a page of HTML. Pure.

Decides which parts of the report have a plot, what its bars are, and how they are drawn: each bar below its label,
with its figure beside it, so that no figure depends on colour alone and a narrow page shows all of it. The look comes
from the page's style sheet: `plot`, `track`, `bar`, `refused`, `failed`, `stopped`.

INVARIANT: every text of the journal goes through `_text`: it is escaped for HTML, and characters that hide or change
direction are written out.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from pgjit.audit.plain_text import plain

__all__ = ["PlottedBar", "bars_of", "plot_summary", "report_plot"]

Item = Mapping[str, object]
_COUNTED: Final = {"allowed": "bar", "refused": "refused", "failed": "failed", "stopped": "stopped"}
"""The counts of executions, each with the kind of its piece."""
_MOST_BARS: Final = 15
_MOST_DAYS: Final = 31
_MOST_HOURS: Final = 48
_LABEL: Final = 28  # characters: longer ones are cut, and whole in the bar's title
_STEP, _BASE, _BAR_AT, _BAR_HEIGHT = 32, 13, 18, 8  # pixels


class PlottedBar(NamedTuple):
    """`parts`: kind and value of each piece, from the left. `figure`: the values as people read them."""

    label: str
    parts: tuple[tuple[str, float], ...]
    figure: str

    @property
    def whole(self) -> float:
        return sum(value for _, value in self.parts)


def bars_of(part: str, items: Sequence[Item]) -> list[PlottedBar]:
    """The bars of a part of the report, from its rows as JSON; none for a part without a plot."""
    match part:
        case "activity":
            days = sorted(items, key=lambda item: str(item.get("day", "")))[-_MOST_DAYS:]
            return [_counted(str(item.get("day", "-")), item) for item in days]
        case "hours":
            hours = sorted(items, key=lambda item: str(item.get("hour", "")))[-_MOST_HOURS:]
            return [_counted(str(item.get("hour", "-"))[:16].replace("T", " "), item) for item in hours]
        case "denials":
            return _largest(items, "reason", "times", "refused", "times")
        case "rows":
            return _largest(items, "who", "rows", "bar", "rows")
        case "kills":
            slowest = sorted(items, key=lambda item: -_number(item, "took_ms"))[:_MOST_BARS]
            return [
                PlottedBar(
                    str(item.get("who", "-")),
                    (("bar" if item.get("gone") else "failed", _number(item, "took_ms")),),
                    f"{_number(item, 'took_ms'):,.0f} ms" + ("" if item.get("gone") else ", not seen to be gone"),
                )
                for item in slowest
            ]
        case _:
            return []


def plot_summary(part: str, items: Sequence[Item], *, more: bool) -> str | None:
    """One sentence about the figures. `more`: there are rows that `items` lacks."""
    if not items:
        return None
    match part:
        case "activity" | "hours":
            *sums, last = (f"{sum(_number(item, name) for item in items):,.0f} {name}" for name in _COUNTED)
            return f"{', '.join(sums)} and {last}."
        case "kills":
            times = [_number(item, "took_ms") for item in items]
            of = f"the {len(times):,} slowest" if more else f"{len(times):,}"
            return f"Half of {of} took at most {median(times):,.0f} ms, the slowest {max(times):,.0f} ms."
        case _:
            return None


def report_plot(part: str, title: str, bars: Sequence[PlottedBar]) -> str:
    """SVG with a title and a description that has every figure. Its `id`s begin with `plot-` and the part."""
    highest = max((bar.whole for bar in bars), default=0) or 1
    about = "; ".join(f"{bar.label}: {bar.figure}" for bar in bars)
    drawn = "".join(_bar(number, bar, highest) for number, bar in enumerate(bars))
    return (
        f'<svg class="plot" role="img" aria-labelledby="plot-{part}-title plot-{part}-about" '
        f'width="100%" height="{len(bars) * _STEP}">'
        f'<title id="plot-{part}-title">{_text(title)}</title><desc id="plot-{part}-about">{_text(about)}</desc>'
        f"{drawn}</svg>"
    )


def _bar(number: int, bar: PlottedBar, highest: float) -> str:
    top = number * _STEP
    label = bar.label if len(bar.label) <= _LABEL else f"{bar.label[: _LABEL - 1]}…"
    pieces, at = "", 0.0
    for kind, value in bar.parts:
        length = 100 * max(value, 0) / highest
        if length > 0:
            pieces += (
                f'<rect class="{kind}" x="{at:.2f}%" y="{top + _BAR_AT}" width="{max(length, 0.3):.2f}%" '
                f'height="{_BAR_HEIGHT}"/>'
            )
        at += length
    return (
        f"<g><title>{_text(bar.label)}: {_text(bar.figure)}</title>"
        f'<text x="0" y="{top + _BASE}">{_text(label)}</text>'
        f'<text x="100%" y="{top + _BASE}" text-anchor="end">{_text(bar.figure)}</text>'
        f'<rect class="track" x="0" y="{top + _BAR_AT}" width="100%" height="{_BAR_HEIGHT}"/>{pieces}</g>'
    )


def _counted(label: str, item: Item) -> PlottedBar:
    values = {name: _number(item, name) for name in _COUNTED}
    return PlottedBar(
        label,
        tuple((_COUNTED[name], value) for name, value in values.items()),
        ", ".join(f"{value:,.0f} {name}" for name, value in values.items() if value or name == "allowed"),
    )


def _largest(items: Sequence[Item], label: str, value: str, kind: str, unit: str) -> list[PlottedBar]:
    """The largest sums, one for each label."""
    sums: dict[str, float] = {}
    for item in items:
        name = str(item.get(label, "-"))
        sums[name] = sums.get(name, 0) + _number(item, value)
    largest = sorted(sums.items(), key=lambda each: -each[1])[:_MOST_BARS]
    return [
        PlottedBar(name, ((kind, total),), f"{total:,.0f} {unit if total != 1 else unit.removesuffix('s')}")
        for name, total in largest
        if total
    ]


def _number(item: Item, name: str) -> float:
    value = item.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _text(text: str) -> str:
    return html.escape(plain(text), quote=True)
