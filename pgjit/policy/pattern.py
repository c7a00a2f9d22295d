"""Names with globs: which objects an entry of a policy means. Pure. It knows no policy and no catalog.

A name is written as in SQL: parts between dots, folded to lower case unless quoted. `*` stands for any characters
within one part. A part of an object's name that is None is unknown. With `lenient` an unknown part matches anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Pattern", "Patterns", "all_of", "names", "parse_pattern", "texts"]

Name = tuple[str | None, ...]
T = TypeVar("T")

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".\s!]+)')
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    glob: re.Pattern[str] | None = None  # None: it stands for itself

    def matches(self, name: str | None, *, lenient: bool) -> bool:
        if name is None:
            return lenient or (self.text == _ANY and self.glob is not None)
        return name == self.text if self.glob is None else self.glob.fullmatch(name) is not None

    def covers(self, other: Part) -> bool:
        """Whether this certainly means everything that `other` means."""
        if other.glob is not None:
            return self.glob is not None and self.text in (_ANY, other.text)
        return self.matches(other.text, lenient=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One name, with globs or without."""

    text: str
    parts: tuple[Part, ...]

    def matches(self, name: Name, *, lenient: bool) -> bool:
        """A pattern with fewer parts than the name matches any parts on the left."""
        if len(self.parts) > len(name):
            return False
        at = len(name)
        for part in reversed(self.parts):  # the last part distinguishes most names, and there are many columns
            at -= 1
            if not part.matches(name[at], lenient=lenient):
                return False
        return True

    @property
    def exact(self) -> bool:
        return all(part.glob is None for part in self.parts)

    def head(self, count: int) -> Pattern:
        """Without the last parts: `schema.table.column` becomes `schema.table`."""
        return Pattern(self.text, self.parts[: len(self.parts) - count])

    def qualified(self, schema: str) -> Pattern:
        """With `schema` in front, if it has none."""
        return Pattern(self.text, (Part(schema), *self.parts)) if len(self.parts) == 1 else self

    def covers(self, other: Pattern) -> bool:
        """Whether this certainly means everything that `other` means."""
        if len(self.parts) > len(other.parts):
            return False
        pairs = zip(self.parts, other.parts[len(other.parts) - len(self.parts) :], strict=True)
        return all(mine.covers(its) for mine, its in pairs)


@dataclass(frozen=True, slots=True)
class Patterns:
    """A list of patterns: those included, without those excluded by `!`."""

    included: tuple[Pattern, ...]
    excluded: tuple[Pattern, ...] = ()

    def match(self, name: Name, *, lenient: bool) -> bool:
        """Whether `name` is certainly meant, or with `lenient` possibly."""
        for each in self.included:
            if each.matches(name, lenient=lenient):
                return not any(one.matches(name, lenient=not lenient) for one in self.excluded)
        return False

    def name(self, name: Name) -> bool:
        """Whether `name` is written out, without a glob."""
        return self.match(name, lenient=False) and any(
            each.exact and each.matches(name, lenient=False) for each in self.included
        )

    def covers(self, other: Patterns) -> bool:
        """Whether this certainly means everything that `other` means."""
        return not self.excluded and all(any(mine.covers(its) for mine in self.included) for its in other.included)

    def head(self, count: int) -> Patterns:
        """The included patterns without their last parts. Excluded ones are dropped."""
        return Patterns(tuple(each.head(count) for each in self.included))

    def qualified(self, schema: str) -> Patterns:
        return Patterns(
            tuple(each.qualified(schema) for each in self.included),
            tuple(each.qualified(schema) for each in self.excluded),
        )

    @classmethod
    def of(cls, written: Iterable[str], least: int, most: int) -> Patterns:
        """Raises ValueError for what cannot be a name of `least` to `most` parts."""
        names = list(written)
        read = all_of(names, lambda each: parse_pattern(each.removeprefix("!"), least, most))
        included = tuple(pattern for each, pattern in zip(names, read, strict=True) if not each.startswith("!"))
        excluded = tuple(pattern for each, pattern in zip(names, read, strict=True) if each.startswith("!"))
        if not included:
            raise ValueError("must name something before it leaves something out with `!`")
        return cls(included, excluded)


def parse_pattern(text: str, least: int = 1, most: int = 3) -> Pattern:
    """Raises ValueError."""
    parts: list[Part] = []
    at = 0
    while match := _PART.match(text, at):
        parts.append(_part(match))
        at = match.end()
        if at == len(text) or text[at] != ".":
            break
        at += 1
    else:
        at = -1  # a dot with nothing behind it, or nothing at all
    if at != len(text) or not least <= len(parts) <= most:
        raise ValueError(f"`{text}` must be {_shape(least, most)}")
    return Pattern(text, tuple(parts))


def _part(match: re.Match[str]) -> Part:
    quoted, plain = match.groups()
    if quoted is not None:
        return Part(quoted.replace('""', '"'))
    folded = "".join(each.lower() if each.isascii() else each for each in plain)
    if _ANY not in folded:
        return Part(folded)
    folded = re.sub(r"\*+", _ANY, folded)
    return Part(folded, re.compile(".*".join(map(re.escape, folded.split(_ANY))), re.DOTALL))


def _shape(least: int, most: int) -> str:
    words = {1: "name", 2: "schema.name", 3: "schema.relation.column"}
    if (least, most) == (2, 3):
        words = {2: "relation.column", 3: "schema.relation.column"}
    return " or ".join(words[count] for count in range(least, most + 1)) + ", with * for any characters"


def texts(value: object) -> list[str]:
    """One text, or a list of them. Raises ValueError."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError("must be a text or a list of texts, and not empty")
    return list(words)


def all_of(words: Iterable[str], read: Callable[[str], T]) -> list[T]:
    """Every word read. Raises one ValueError for all words that cannot be."""
    done, faults = [], []
    for word in words:
        try:
            done.append(read(word))
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise ValueError("; ".join(faults))
    return done


def names(least: int, most: int) -> Callable[[object], list[str]]:
    """What checks a list of names of `least` to `most` parts. It raises ValueError."""

    def read(value: object) -> list[str]:
        words = texts(value)
        Patterns.of(words, least, most)
        return words

    return read
