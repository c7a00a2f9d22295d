"""The plots of the report: their bars, and that nothing of the journal is markup in them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from pgjit.audit.reading.report_plots import bars_of, plot_summary, report_plot

HOSTILE = "<script>alert(1)</script>\"' & \u202e\x1b[31m"


def drawn(part: str, items: list[dict[str, object]]) -> ET.Element:
    return ET.fromstring(report_plot(part, "A title", bars_of(part, items)))


def test_days_are_in_order_and_say_what_was_refused() -> None:
    items: list[dict[str, object]] = [
        {"day": "2026-11-29", "allowed": 10, "refused": 2, "failed": 1, "stopped": 3, "rows": 7},
        {"day": "2026-11-28", "allowed": 5, "refused": 0, "failed": 0},
    ]
    bars = bars_of("activity", items)
    assert [(bar.label, bar.figure) for bar in bars] == [
        ("2026-11-28", "5 allowed"),
        ("2026-11-29", "10 allowed, 2 refused, 1 failed, 3 stopped"),
    ]
    assert plot_summary("activity", items, more=False) == "15 allowed, 2 refused, 1 failed and 3 stopped."
    svg = drawn("activity", items)
    widths = [each.get("width") for each in svg.iter("rect") if each.get("class") != "track"]
    assert widths == ["31.25%", "62.50%", "12.50%", "6.25%", "18.75%"]
    about = next(each.text for each in svg.iter("desc"))
    assert about == "2026-11-28: 5 allowed; 2026-11-29: 10 allowed, 2 refused, 1 failed, 3 stopped"


def test_hours_are_in_order() -> None:
    items: list[dict[str, object]] = [
        {"hour": f"2026-11-29T{hour:02}:00:00.000000Z", "allowed": hour, "refused": 1} for hour in (14, 9)
    ]
    assert [(bar.label, bar.figure) for bar in bars_of("hours", items)] == [
        ("2026-11-29 09:00", "9 allowed, 1 refused"),
        ("2026-11-29 14:00", "14 allowed, 1 refused"),
    ]


def test_the_largest_sums_have_bars() -> None:
    items: list[dict[str, object]] = [{"who": f"p{n}", "policy": "a", "rows": n} for n in range(30)]
    items.append({"who": "p1", "policy": "b", "rows": 1000})
    bars = bars_of("rows", items)
    assert [bar.label for bar in bars[:3]] == ["p1", "p29", "p28"]
    assert (len(bars), bars[0].figure) == (15, "1,001 rows")
    assert [bar.label for bar in bars_of("denials", [{"reason": "write-scope", "times": 3}, {"times": 1}])] == [
        "write-scope",
        "-",
    ]


def test_the_end_of_a_backend_that_nobody_saw_stands_out() -> None:
    items: list[dict[str, object]] = [
        {"who": "ana", "took_ms": 40, "gone": True},
        {"who": "ben", "took_ms": 900, "gone": False},
    ]
    assert [bar.figure for bar in bars_of("kills", items)] == ["900 ms, not seen to be gone", "40 ms"]
    assert plot_summary("kills", items, more=False) == "Half of 2 took at most 470 ms, the slowest 900 ms."
    assert plot_summary("kills", items, more=True) == (
        "Half of the 2 slowest took at most 470 ms, the slowest 900 ms."
    )


def test_texts_of_the_journal_are_no_markup() -> None:
    text = report_plot("rows", HOSTILE, bars_of("rows", [{"who": HOSTILE, "rows": 7}]))
    assert "<script" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "style=" not in text  # a strict policy for content refuses it
    ET.fromstring(text)


def test_other_parts_and_empty_ones_have_no_plot() -> None:
    assert bars_of("access", [{"who": "ana"}]) == bars_of("rows", []) == []
    assert plot_summary("rows", [{"who": "ana", "rows": 1}], more=False) is None
    assert plot_summary("activity", [], more=False) is None
    zero: list[dict[str, object]] = [{"day": "2026-11-28", "allowed": 0}]
    assert report_plot("activity", "x", bars_of("activity", zero)).count("<rect") == 1
