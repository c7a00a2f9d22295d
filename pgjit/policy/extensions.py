"""Which objects of an extension a policy may open as a whole, and why others stay closed.

The list is `extensions.yaml`. What a policy opens is decided in `match.py`.

INVARIANT: an extension that is not on the list, or is newer than the reviewed version, opens nothing. An object
belongs to an extension by the server's own record (pg_depend), never by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml

from pgjit.sql.referenced import ReferencedFunction, ReferencedOperator, ReferencedType

__all__ = ["Extension", "extension_of", "is_current", "is_open", "known_extensions", "left_out", "opens"]

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Signature:
    """`name`, `schema.name` or either with `(argument, ...)`; `*` for any characters."""

    name: re.Pattern[str]
    arguments: re.Pattern[str] | None
    schema: bool  # whether it names one

    @classmethod
    def of(cls, text: str) -> _Signature:
        name, bracket, arguments = text.partition("(")
        own = _glob(arguments.removesuffix(")")) if bracket else None
        return cls(_glob(name), own, "." in name)

    def means(self, schema: str, name: str, arguments: str) -> bool:
        written = f"{schema}.{name}" if self.schema else name
        return self.name.fullmatch(written) is not None and (
            self.arguments is None or self.arguments.fullmatch(_plain(arguments)) is not None
        )


@dataclass(frozen=True, slots=True)
class Extension:
    name: str
    checked: str  # the newest version that was reviewed
    why: str = ""  # what the functions outside `only` do
    only: tuple[_Signature, ...] | None = None
    also: tuple[_Signature, ...] = ()
    left: Mapping[_Signature, str] = field(default_factory=dict, hash=False)
    operators: frozenset[str] = frozenset()

    @property
    def closed(self) -> bool:
        """Whether nothing of it can be opened."""
        return self.only == ()

    def reason(self, schema: str, name: str, arguments: str, *, computes: bool) -> str | None:
        """Why a function stays closed; None where it is opened."""
        for signature, why in self.left.items():
            if signature.means(schema, name, arguments):
                return why
        if self.only is not None and not _any(self.only, schema, name, arguments):
            return self.why
        if not computes and not _any(self.also, schema, name, arguments):
            return "by the catalog it may do more than compute or read"
        return None


def _any(signatures: tuple[_Signature, ...], schema: str, name: str, arguments: str) -> bool:
    return any(each.means(schema, name, arguments) for each in signatures)


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.strip().split("*")))


def _plain(arguments: str) -> str:
    """`public.geometry, text` without the schemas."""
    return ", ".join(each.rpartition(".")[2].replace('"', "") for each in arguments.split(", "))


@cache
def known_extensions() -> Mapping[str, Extension]:
    """By name, as the list has them."""
    text = (files("pgjit.policy") / "extensions.yaml").read_text("utf-8")
    written = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both of them are safe
    return {name: _extension(name, keys) for name, keys in written.items()}


def _extension(name: str, keys: Mapping[str, object]) -> Extension:
    def signatures(key: str) -> tuple[_Signature, ...]:
        found = keys.get(key) or ()
        assert isinstance(found, list | tuple)
        return tuple(_Signature.of(str(each)) for each in found)

    left = keys.get("left_out") or {}
    assert isinstance(left, dict)
    operators = keys.get("operators") or ()
    assert isinstance(operators, list | tuple)
    return Extension(
        name,
        str(keys["checked"]),
        str(keys.get("why", "")),
        signatures("only") if "only" in keys else None,
        signatures("also"),
        {_Signature.of(str(each)): str(why) for each, why in left.items()},
        frozenset(map(str, operators)),
    )


def extension_of(name: str | None) -> Extension | None:
    return None if name is None else known_extensions().get(name)


def is_current(extension: Extension, version: str | None) -> bool:
    """Whether that version was reviewed. Only as many numbers are compared as the list has."""
    if version is None:
        return False
    newest, installed = _numbers(extension.checked), _numbers(version)
    return bool(installed) and installed[: len(newest)] <= newest


def _numbers(version: str) -> list[int]:
    return [int(each) for each in _NUMBER.findall(version)]


def left_out(found: ReferencedFunction, extensions: Mapping[str, str]) -> str | None:
    """Why a function stays closed although its extension is opened. None if it is open, or the extension unknown."""
    extension = extension_of(found.extension)
    if extension is None:
        return None
    if not is_current(extension, extensions.get(extension.name)):
        return f"version {extensions.get(extension.name)} was not looked through; {extension.checked} was"
    reasons = [
        extension.reason(found.schema or "", found.name, arguments, computes=found.computes)
        for arguments in found.signatures
    ]
    return next((reason for reason in reasons if reason), None)


def is_open(name: str | None, extensions: Mapping[str, str]) -> bool:
    """Whether a policy that names an installed extension opens anything of it."""
    extension = extension_of(name)
    return extension is not None and not extension.closed and is_current(extension, extensions.get(extension.name))


def opens(found: ReferencedFunction | ReferencedType | ReferencedOperator, extensions: Mapping[str, str]) -> bool:
    """Whether a policy that names the extension opens this object. `extensions`: the installed ones."""
    extension = extension_of(found.extension)
    if extension is None or not is_open(extension.name, extensions):
        return False
    match found:
        case ReferencedFunction():
            return bool(found.signatures) and left_out(found, extensions) is None
        case ReferencedOperator():
            return found.name not in extension.operators
        case ReferencedType():
            return found.kind in ("b", "r", "m", "e", "d")
