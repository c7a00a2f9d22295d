"""The fields of a form: what is read, and what is refused with a word on what would be accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit import console
from pgjit.console.field_labels import FIELD_LABELS
from pgjit.console.form import FORM_TYPE, PageForm, read_form
from pgjit.console.refusals import FieldFault, FormRefused
from tests.run.rows import table

TEMPLATES = Path(console.__file__).with_name("templates")


def form(body: str) -> PageForm:
    return read_form(FORM_TYPE, body.encode())


@table(
    ("read", "body", "value"),
    [
        (lambda it: it.get("a"), "", None),
        (lambda it: it.get("a"), "a=", None),
        (lambda it: it.get("a"), "a=+%20", None),
        (lambda it: it.get("a"), "a=+x+y+", "x y"),
        (lambda it: it.get("a"), "a=x%0D%0Ay", "x\ny"),
        (lambda it: it.get("a"), "a=%C3%A9", "é"),
        (lambda it: it.text("a"), "a=x", "x"),
        (lambda it: it.line("a"), "a=x", "x"),
        (lambda it: it.number("a", least=1, most=9), "a=", None),
        (lambda it: it.number("a", least=1, most=9), "a=09", 9),
        (lambda it: it.duration("a"), "a=", None),
        (lambda it: it.duration("a"), "a=30m", 1800),
        (lambda it: it.duration("a"), "a=1+H", 3600),
        (lambda it: it.choice("a", {"x", "y"}), "a=y", "y"),
        (lambda it: it.checked("a"), "a=on", True),
        (lambda it: it.checked("a"), "", False),
        (lambda it: it.values("a"), "a=1&a=2", ["1", "2"]),
        (lambda it: it.values("a"), "", []),
    ],
)
def test_a_field_is_read(read: Callable[[PageForm], object], body: str, value: object) -> None:
    assert read(form(body)) == value


@table(
    ("read", "body", "words"),
    [
        (lambda it: it.get("a"), "a=1&a=2", "more than once"),
        (lambda it: it.get("a", most=3), "a=1234", "at most 3 characters"),
        (lambda it: it.get("a"), "a=%00", "control characters"),
        (lambda it: it.get("a"), "a=%1B%5B2J", "control characters"),
        (lambda it: it.get("a"), "a=%C2%85", "control characters"),
        (lambda it: it.text("a"), "a=+", "must not be empty"),
        (lambda it: it.line("a"), "a=x%0Ay", "one line"),
        (lambda it: it.number("a", least=1, most=9), "a=0", "from 1 to 9"),
        (lambda it: it.number("a", least=1, most=9), "a=-1", "from 1 to 9"),
        (lambda it: it.number("a", least=1, most=9), "a=%D9%A1", "from 1 to 9"),
        (lambda it: it.number("a", least=1, most=9), "a=1e0", "from 1 to 9"),
        (lambda it: it.duration("a"), "a=30", "such as 90s, 30m or 2h"),
        (lambda it: it.duration("a"), "a=0m", "such as 90s, 30m or 2h"),
        (lambda it: it.duration("a", most=60), "a=2m", "at most 60 seconds"),
        (lambda it: it.choice("a", {"x", "y"}), "a=z", "one of: x, y"),
        (lambda it: it.choice("a", {"x", "y"}), "", "one of: x, y"),
    ],
)
def test_a_field_is_refused(read: Callable[[PageForm], object], body: str, words: str) -> None:
    with pytest.raises(FieldFault) as fault:
        read(form(body))
    assert fault.value.name == "a"
    assert words in str(fault.value.detail)
    assert fault.value.problem()["status"] == 400


@pytest.mark.parametrize("label", FIELD_LABELS.values())
def test_a_field_is_named_as_a_page_names_it(label: str) -> None:
    pages = "".join(each.read_text() for each in TEMPLATES.glob("*.html"))
    assert f'"{label}"' in pages or f"{label}:" in pages
    name = next(name for name, each in FIELD_LABELS.items() if each == label)
    assert FieldFault(name, "It must not be empty.").problem()["title"] == f"field “{label}” is not accepted"


@table(
    ("kind", "body", "status"),
    [
        ("text/plain", b"a=1", 415),
        ("", b"a=1", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        (FORM_TYPE, b"a=\xff", 400),
        (FORM_TYPE, b"a=%ff", 400),
        (FORM_TYPE, b"&".join([b"a=1"] * 101), 400),
    ],
)
def test_a_body_that_is_no_form_is_refused(kind: str, body: bytes, status: int) -> None:
    with pytest.raises(FormRefused) as refused:
        read_form(kind, body)
    assert refused.value.problem()["status"] == status


def test_an_empty_body_is_an_empty_form() -> None:
    assert read_form("", b"").get("a") is None
    assert read_form(f"{FORM_TYPE}; charset=utf-8", b"a=1").get("a") == "1"
