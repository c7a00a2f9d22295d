"""Writes the reference of the configuration into docs/config.md: the tables come from the models themselves.

Decides how a key, its type and its default are written. What keys there are is `pgjit/config.py`'s. Run by
`make docs`; `test_docs.py` fails when the page is stale.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, BeforeValidator, IPvAnyNetwork
from pydantic.fields import FieldInfo

from pgjit.config import ConfigFile

__all__ = ["BEGIN", "END", "PAGE", "reference", "rewritten"]

PAGE = Path(__file__).parents[2] / "docs" / "config.md"
BEGIN = "<!-- begin: written by `make docs` from pgjit/config.py -->"
END = "<!-- end -->"

_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    IPvAnyNetwork: "address or network",
}


def reference() -> str:
    """The tables, one for each section, in the order of the file."""
    return "\n".join(_section("", ConfigFile))


def rewritten(page: str) -> str:
    """`page` with everything between its two marks replaced by today's reference."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has lost the marks between which the reference is written")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"### `{path}`" if path else "### The file"
    yield ""
    yield (model.__doc__ or "").strip()
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        key = f"{path}.{name}" if path else name
        section, many = _model_in(field.annotation)
        if section is not None:
            key += ".<name>" if many else ""
            inner.append((key, section))
        yield _row(key, field, section, many=many)
    for key, section in inner:
        yield ""
        yield from _section(key, section)


def _row(key: str, field: FieldInfo, section: type[BaseModel] | None, *, many: bool) -> str:
    if section is None:
        kind = _kind(field)
        meaning = field.description
    else:
        kind = "a section for each name" if many else "section"
        meaning = field.description or (section.__doc__ or "").strip().removesuffix(".")
    if not meaning:
        raise ValueError(f"`{key}` has no description in pgjit/config.py")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{key}`", kind, _default(field), meaning)) + " |"


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section that a key holds, and whether it holds several by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        return _model_in(get_args(annotation)[1])[0], True
    if get_origin(annotation) in (Union, types.UnionType):
        found = [model for model, _ in map(_model_in, get_args(annotation)) if model is not None]
        return (found[0], False) if found else (None, False)
    return None, False


def _kind(field: FieldInfo) -> str:
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, rules: Iterable[object]) -> str:
    """A type in words; `rules` are the bounds of its values."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        if len(kinds) > 1:
            return "; or ".join(_words(kind, ()) for kind in kinds)
        (annotation,) = kinds
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return _words(inner, [rule for mark in marks if isinstance(mark, FieldInfo) for rule in mark.metadata])
    if get_origin(annotation) is Literal:
        return _choice(get_args(annotation))
    if get_origin(annotation) is tuple:
        one = _words(get_args(annotation)[0], ())
        return f"{one}; or a list" if any(isinstance(rule, BeforeValidator) for rule in rules) else f"list of {one}"
    if get_origin(annotation) is dict:
        return "map of texts"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice(tuple(str(member.value) for member in annotation))
    if not isinstance(annotation, type):
        raise TypeError(f"no words for the type {annotation!r}")
    return _PLAIN[annotation] + _bounds(rules)


def _choice(values: tuple[object, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _bounds(rules: Iterable[object]) -> str:
    bounds: list[str] = []
    for rule in rules:
        match rule:
            case Ge():
                bounds.append(f"from {rule.ge}")
            case Gt():
                bounds.append(f"over {rule.gt}")
            case Le():
                bounds.append(f"to {rule.le}")
            case MinLen():
                bounds.append("not empty")
            case _:
                raise TypeError(f"no words for the constraint {rule!r}")
    return f", {' '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo) -> str:
    match field.default:
        case _ if field.is_required():
            return "**required**"
        case None | BaseModel() | ():
            return ""
        case bool(value):
            return f"`{str(value).lower()}`"
        case Enum() as member:
            return f"`{member.value}`"
        case (value,) | value:
            return f"`{value}`"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    text = rewritten(page)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE}: {'unchanged' if text == page else 'written'}", file=sys.stderr)
