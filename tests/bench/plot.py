"""The plot of a run, as SVG: transactions a second of each case in each way, and the CPU of the proxies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.figures import Figure
from tests.bench.report import shown

__all__ = ["plot"]

_COLOURS = {"direct": "#8a8f98", "pgbouncer": "#2f6fb0", "pgjit": "#d1603d"}
_WIDTH, _LABEL, _BAR, _GAP, _VALUE = 760, 130, 12, 12, 90
_PANELS = {
    "transactions": "transactions a second: more is better",
    "CPU": "µs of the proxy's CPU a transaction: less is better",
}


def plot(figures: Sequence[Figure], title: str) -> str:
    body: list[str] = []
    y = 34
    for name, heading in _PANELS.items():
        chosen = [figure for figure in figures if figure.name == name and figure.unit in ("/s", "µs")]
        if chosen:
            body.append(_text(10, y + 12, heading, weight="bold"))
            y += 24
            y = _panel(body, chosen, y) + 16
    legend = "".join(
        f'<rect x="{430 + 110 * at}" y="10" width="12" height="12" fill="{colour}"/>' + _text(448 + 110 * at, 20, way)
        for at, (way, colour) in enumerate(_COLOURS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}" '
        f'font-family="sans-serif" font-size="11"><rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>'
        + _text(10, 20, title, weight="bold") + legend + "".join(body) + "</svg>\n"
    )  # fmt: skip


def _panel(body: list[str], figures: Sequence[Figure], y: int) -> int:
    most = max((value.high for figure in figures for value in figure.ways.values()), default=1) or 1
    for figure in figures:
        body.append(_text(10, y + 12, figure.case))
        body.extend(_bars(figure, y, (_WIDTH - _LABEL - _VALUE) / most))
        y += _BAR * len(figure.ways) + _GAP
    return y


def _bars(figure: Figure, y: int, scale: float) -> Iterator[str]:
    for at, (way, value) in enumerate(figure.ways.items()):
        top, width = y + at * _BAR, value.median * scale
        yield f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[way]}"/>'
        yield (
            f'<path d="M{_LABEL + value.low * scale:.1f} {top + 5}H{_LABEL + value.high * scale:.1f}" '
            f'stroke="#222222" stroke-width="1"/>'
        )
        yield _text(_LABEL + max(width, value.high * scale) + 5, top + 9, shown(value.median))


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}" fill="#222222">{escape(text)}</text>'
