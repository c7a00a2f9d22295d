"""Reads a YAML file with the place of every key, and checks it against a model. Reports every fault at once.

Decides what a file may be at all: one document, no aliases, no key twice, of bounded size and depth. What the keys
mean is the model's to decide.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pgjit.errors import InvalidFile

__all__ = ["MAX_BYTES", "Document"]

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 32
_BYTE_ORDER_MARK = "\ufeff"


class Document:
    """`Document.read` never raises. It puts what is wrong into `faults`, each with `file:line:column`."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.faults: list[str] = []
        self._places: dict[Location, yaml.Mark] = {}
        self._unread: set[Location] = set()  # values that have a fault already
        self._value: object = None

    @classmethod
    def read(cls, path: Path) -> Document:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as fault:
            document = cls(path, b"")
            document.faults.append(f"{path}:1:1: cannot be read: {fault.strerror}")
            return document
        document = cls(path, content)
        document._parse(content)
        return document

    def _parse(self, content: bytes) -> None:
        if len(content) > MAX_BYTES:
            self.faults.append(f"{self.path}:1:1: is larger than {MAX_BYTES} bytes")
            return
        try:
            node = _composed(content.decode("utf-8"))
        except UnicodeDecodeError as fault:
            self.faults.append(f"{self.path}:1:1: is not UTF-8 (byte {fault.start})")
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            self._at(mark, fault.problem or "is not YAML")
        except (yaml.YAMLError, RecursionError):
            self.faults.append(f"{self.path}:1:1: is not YAML that can be read")
        else:
            if node is None:
                self.faults.append(f"{self.path}:1:1: is empty")
            else:
                self._value = self._build(node, ())

    def _at(self, mark: yaml.Mark | None, text: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.faults.append(f"{self.path}:{line}:{column}: {text}")

    def _build(self, node: yaml.Node, where: Location) -> object:
        if len(where) > _MAX_DEPTH:
            self._at(node.start_mark, "is nested too deeply")
            self._unread.add(where)
            return None
        if where not in self._places:
            self._places[where] = node.start_mark
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*where, index)) for index, item in enumerate(node.value)]
        try:
            return _PlainLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._at(node.start_mark, f"value of type {node.tag!r} is not accepted")
            self._unread.add(where)
            return None

    def _mapping(self, node: yaml.MappingNode, where: Location) -> dict[str, object]:
        built: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self._at(key.start_mark, "a key must be plain text")
                continue
            name = str(key.value)
            if name in built:
                self._at(key.start_mark, f"key `{name}` is given twice")
                continue
            self._places[(*where, name)] = key.start_mark
            built[name] = self._build(value, (*where, name))
        return built

    def check_readable(self, where: Location, path: Path) -> None:
        """`path` is a file that this document names: one that cannot be read is a fault at `where`."""
        try:
            with path.open("rb"):
                pass
        except OSError as fault:
            self.fault(where, f"`{path}` cannot be read: {fault.strerror}")

    def model(self, shape: type[M]) -> M | None:
        """The document as `shape`. None where there are faults, all of which are then in `faults`."""
        if self._value is None and self.faults:
            return None
        try:
            checked = shape.model_validate(self._value)
        except ValidationError as faults:
            for fault in faults.errors(include_url=False):
                if fault["loc"] not in self._unread:
                    self.fault(fault["loc"], _wording(fault, shape))
            return None
        return None if self.faults else checked

    def written(self, where: Location) -> object:
        """The value of a key as it stands in the file, unchecked. None where the key is missing."""
        value = self._value
        for part in where:
            if isinstance(value, dict):
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def fault(self, where: Location, text: str) -> None:
        """Add a fault at the key `where`; if that is missing, at the nearest key around it."""
        named = ".".join(str(part) for part in where)
        self.faults.append(f"{self.place(where)}: " + (f"`{named}` {text}" if named else text))

    def place(self, where: Location) -> str:
        """`file:line:column` of a key; if that is missing, of the nearest key around it."""
        while where and where not in self._places:
            where = where[:-1]
        mark = self._places.get(where)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return f"{self.path}:{line}:{column}"

    def check(self, what: str) -> None:
        """Raises InvalidFile with all faults, if there are any."""
        if self.faults:
            raise InvalidFile(what, self.faults)


class _NoAliases(yaml.composer.Composer):
    """Rejects aliases, which make a document larger than it looks."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[attr-defined] # the parser's
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not accepted", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


class _PlainLoader(_NoAliases, yaml.SafeLoader):
    """PyYAML's own parser. Its errors name what was expected, and what was found."""


_Parser: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _QuickLoader(_NoAliases, _Parser):  # type: ignore[misc, valid-type] # whichever there is
    """The parser of libyaml, where it is installed: the same nodes in the same places, eight times as fast."""

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        _NoAliases.__init__(self)


def _composed(text: str) -> yaml.Node | None:
    # libyaml takes a tab for a space: a list's entry behind one would become text of the entry before it.
    if "\t" not in text and _BYTE_ORDER_MARK not in text:
        with contextlib.suppress(yaml.YAMLError):
            return yaml.compose(text, Loader=_QuickLoader)
    return yaml.compose(text, Loader=_PlainLoader)


def _wording(fault: ErrorDetails, shape: type[BaseModel]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            near = difflib.get_close_matches(str(fault["loc"][-1]), _known(shape), n=1)
            return "is not a known key" + (f"; did you mean `{near[0]}`?" if near else "")
        case "model_type" | "dict_type":
            return "must be a mapping of keys"
        case "list_type" | "tuple_type":
            return "must be a list"
        case "too_short":
            return f"must have at least {fault['ctx']['min_length']} entry"
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case _:
            text = fault["msg"].replace("Input should be", "must be")
            return text[:1].lower() + text[1:]


def _known(shape: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> list[str]:
    """Names of all keys of a model and of the models inside it."""
    seen = seen or set()
    seen.add(shape)
    names = [field.alias or name for name, field in shape.model_fields.items()]
    for field in shape.model_fields.values():
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in inner:
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
                names += _known(kind, seen)
    return names
