"""Values as the pages show them: moments, lengths of time, and text from agents. Pure.

Decides what stands for a character that is not visible, or that changes how others are shown: its code, marked. Text
is escaped; nothing from outside becomes markup.
"""

from __future__ import annotations

import itertools
import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup, escape

from pgjit.audit.invisible_characters import is_hidden

__all__ = [
    "count_text",
    "length_text",
    "moment_markup",
    "plain_text",
    "prose",
    "read_moment",
    "relative_text",
    "shown",
    "shown_lines",
    "size_text",
]


def read_moment(value: str | datetime) -> datetime:
    """A moment of the API's JSON (RFC 3339), in UTC. Raises ValueError."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)


def moment_markup(value: str | datetime | None, now: datetime) -> Markup:
    """`<time>` with the moment in UTC, and how far it is from `now`. None is a dash."""
    if value is None:
        return Markup('<span class="none">–</span>')
    moment = read_moment(value)
    text = moment.strftime("%H:%M:%S") if moment.date() == now.date() else moment.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}" title="{}">{} <span class="ago">{}</span></time>').format(
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC",
        text,
        relative_text(moment, now),
    )


def relative_text(moment: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`."""
    seconds = (now - moment).total_seconds()
    length = length_text(abs(seconds), parts=1)
    return f"{length} ago" if seconds >= 0 else f"in {length}"


def length_text(seconds: float | None, *, parts: int = 2) -> str:
    """A length of time in its largest units: `1 h 30 min`, `250 ms`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms" if seconds > 0 else "0 s"
    rest, texts = round(seconds), []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            texts.append(f"{count} {unit}")
        elif texts:
            break
    return " ".join(texts[:parts])


def count_text(value: int | None) -> str:
    """A number with a narrow space between thousands."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def size_text(size: int | None) -> str:
    """A number of bytes."""
    if size is None or size < 10_000:
        return count_text(size) + ("" if size is None else " B")
    unit, name = (1000, "kB") if size < 10_000_000 else (1_000_000, "MB")
    return f"{count_text(round(size / unit))} {name}"


def shown(value: object) -> Markup:
    """One line of text from outside: what is not visible, line ends included, is shown by its code."""
    return _marked(str(value), frozenset())


def plain_text(value: object) -> str:
    """The same without markup, for attributes and what a script sets as text: what is not visible is `[U+202E]`."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"[U+{ord(each):04X}]" if is_hidden(each) else each for each in text)


def shown_lines(value: object) -> Markup:
    """The same for text of several lines, such as a statement: line ends and tabs stay."""
    return _marked(str(value), frozenset("\n\t"))


def prose(value: object) -> Markup:
    """A sentence of pgjit: names in it, which are between backticks, are set as code."""
    pieces = str(value).split("`")
    if len(pieces) % 2 == 0:  # a name with a backtick in it
        return shown(value)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(shown(each)) if at % 2 else shown(each) for at, each in enumerate(pieces))


def _marked(text: str, kept: frozenset[str]) -> Markup:
    if text.isascii() and text.isprintable():
        return escape(text)
    text = text.replace("\r\n", "\n") if "\n" in kept else text
    runs = itertools.groupby(text, lambda each: each not in kept and is_hidden(each))
    return Markup("").join(
        piece for hidden, run in runs for piece in (map(_code, run) if hidden else ("".join(run),))
    )


def _code(character: str) -> Markup:
    code = f"{ord(character):04X}"
    name = unicodedata.name(character, "control character").lower()
    return Markup('<span class="unseen" title="{}">U+{}</span>').format(name, code)
