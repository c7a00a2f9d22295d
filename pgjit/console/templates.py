"""The templates and the static files. Both are read once, from this package.

Decides what a template may use: values are escaped, an unknown name is an error. A static file has the hash of its
content in its address, so that a browser keeps it until it changes.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from pgjit.console.shown import (
    count_text,
    length_text,
    moment_markup,
    plain_text,
    prose,
    shown,
    shown_lines,
    size_text,
)

__all__ = ["StaticFile", "Templates", "static_files"]

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Other files are not served."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str
    tag: str  # of the content

    @property
    def etag(self) -> str:
        return f'"{self.tag}"'


def static_files(folder: Path = _HERE / "static") -> dict[str, StaticFile]:
    """The files of the folder, by name."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            files[path.name] = StaticFile(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
    return files


class Templates:
    """All templates, compiled before the first request: none of them holds up the sessions of this process later."""

    def __init__(self, static: dict[str, StaticFile], **standing: Any) -> None:
        """`standing`: what every template gets."""
        self._environment = _compiled()
        self._standing = {**standing, "static": lambda name: f"/static/{name}?v={static[name].tag}"}

    def render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(self._standing, **values)


@functools.cache
def _compiled() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        moment=_moment,
        seconds=length_text,
        count=count_text,
        prose=prose,
        shown=shown,
        shown_lines=shown_lines,
        plain_text=plain_text,
        size=size_text,
    )
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


@pass_context
def _moment(context: Context, value: str | datetime | None) -> Markup:
    return moment_markup(value, context["now"])
