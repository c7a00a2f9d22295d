"""Values as pages show them: nothing from outside becomes markup, and nothing invisible stays so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from pgjit.console.shown import count_text, length_text, moment_markup, plain_text, prose, shown, shown_lines
from tests.run.rows import table

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@table(
    ("text", "markup"),
    [
        ("plain", "plain"),
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\u202eb", 'a<span class="unseen" title="right-to-left override">U+202E</span>b'),
        ("a\x1bb", 'a<span class="unseen" title="control character">U+001B</span>b'),
        ("a\nb", 'a<span class="unseen" title="control character">U+000A</span>b'),
        ("\U000e0041", '<span class="unseen" title="tag latin capital letter a">U+E0041</span>'),
        ("naïve 表", "naïve 表"),
        ("", ""),
    ],
)
def test_one_line_of_text(text: str, markup: str) -> None:
    assert shown(text) == markup


def test_a_statement_keeps_its_lines() -> None:
    assert shown_lines("SELECT 1,\r\n\t'<i>'\n") == "SELECT 1,\n\t&#39;&lt;i&gt;&#39;\n"
    assert "U+2028" in shown_lines("a\u2028b")
    assert "U+000D" in shown_lines("a\rb")


def test_a_name_in_a_sentence_is_set_as_code() -> None:
    assert prose("policy `a<b` is `x`") == "policy <code>a&lt;b</code> is <code>x</code>"
    assert prose("policy `a is unknown") == "policy `a is unknown"
    assert prose("") == ""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    for write in (shown, shown_lines):
        read = _Tags()
        read.feed(str(write(text)))
        read.close()
        assert read.tags <= {"span"}
        assert "\u202e" not in read.text
        if text.isprintable() and "U+" not in read.text:
            assert read.text == text


@table(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 s"), (0.25, "250 ms"), (1, "1 s"), (59.6, "1 min"), (90, "1 min 30 s"), (3600, "1 h"),
        (3605, "1 h"), (5400, "1 h 30 min"), (90_000, "1 d 1 h"), (86_400 * 400, "400 d"),
    ],
)  # fmt: skip
def test_a_length_of_time(seconds: float | None, text: str) -> None:
    assert length_text(seconds) == text


def test_a_moment_has_its_machine_form_and_how_far_it_is() -> None:
    past = moment_markup("2026-11-24T08:57:00Z", NOW)
    assert 'datetime="2026-11-24T08:57:00.000Z"' in past
    assert "3 min ago" in past
    assert "in 2 h" in moment_markup(NOW + timedelta(hours=2), NOW)
    assert "2026-11-20" in moment_markup("2026-11-20T08:57:00+02:00", NOW)
    assert "–" in moment_markup(None, NOW)


def test_a_number_has_its_thousands_apart() -> None:
    texts = {None: "–", 0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"}
    assert {each: count_text(each) for each in texts} == texts


def test_text_for_a_script_shows_what_is_not_visible() -> None:
    assert plain_text("SELECT 'é'") == "SELECT 'é'"
    assert plain_text("a\u202eb\x07\n<b>") == "a[U+202E]b[U+0007][U+000A]<b>"
    assert plain_text(None) == "None"
