"""Every path of the console, with a value for each of its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.routing import APIRoute

from pgjit.api.caller import CallerRole
from pgjit.console.pages import PAGES
from pgjit.console.pages.sign_in import router as sign_in

__all__ = ["FORMS", "OPEN", "READ", "Path", "paths"]

OPEN = ("/sign-in", "/sign-in/start", "/signed-in")
"""Served to who is not signed in, beside the static files."""
_NUMBERS = frozenset({"number", "seq", "index"})


@dataclass(frozen=True, slots=True)
class Path:
    """`template`: with the names of the parameters in braces. `roles`: any of them opens it."""

    method: str
    template: str
    roles: tuple[CallerRole, ...]

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{([a-z_]+)(?::[a-z]+)?}", self.template)

    def filled(self, value: str = "x_1") -> str:
        """The path with `value` for each parameter; a number where only numbers are accepted."""
        return re.sub(r"{([a-z_]+)(:[a-z]+)?}", lambda name: "1" if name[1] in _NUMBERS else value, self.template)


def paths() -> Iterator[Path]:
    for entry in PAGES:
        yield from _of(entry.router, entry.roles)
    yield from _of(sign_in, tuple(CallerRole))


def _of(router: APIRouter, roles: tuple[CallerRole, ...]) -> Iterator[Path]:
    for route in router.routes:
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            yield Path(method, route.path, roles)


READ = tuple(each for each in paths() if each.method == "GET" and each.template not in OPEN)
FORMS = tuple(each for each in paths() if each.method == "POST")
