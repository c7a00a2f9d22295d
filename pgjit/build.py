"""Whether this installation has compiled modules, and whether they are those that its sources were compiled to.

A library that was compiled from another source than the one beside it would run what nobody reads there. So pgjit
starts only if every library is listed in `compiled.json`, which the build wrote, and every file is as it is listed.
Decides nothing about which modules are compiled: `pyproject.toml` does.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from pgjit.errors import ServerUnavailable

__all__ = ["Build", "check_build"]

_LIST = "compiled.json"


@dataclass(frozen=True, slots=True)
class Build:
    modules: int = 0  # how many are compiled

    def __str__(self) -> str:
        return f"{self.modules} modules compiled" if self.modules else "plain Python"


@cache
def check_build(package: Path | None = None) -> Build:
    """Raises ServerUnavailable if a compiled module is not the one that was built with its source.

    `package`: the folder of the package `pgjit`. `pgwire` is beside it in every installation with compiled modules.
    """
    folder = package or Path(__file__).parent
    root = folder.parent
    found = {each for part in _packages(folder) for each in _libraries(part)}
    listed = folder / _LIST
    if not listed.is_file():
        if found:
            raise _differs(f"`{min(found)}` is compiled, and there is no `{listed}`")
        return Build()
    content = json.loads(listed.read_bytes())
    libraries: dict[str, str] = content["libraries"]
    sources: dict[str, str] = content["sources"]
    for path in sorted(found):
        if path.relative_to(root).as_posix() not in libraries:
            raise _differs(f"`{path}` is not listed in `{listed}`")
    for name, digest in (*libraries.items(), *sources.items()):
        try:
            content_of = (root / name).read_bytes()
        except FileNotFoundError:
            raise _differs(f"`{root / name}` is missing") from None
        if sha256(content_of).hexdigest() != digest:
            raise _differs(f"`{root / name}` has changed since the modules were compiled")
    return Build(len(sources))


def _packages(folder: Path) -> Iterator[Path]:
    yield folder
    if (beside := folder.parent / "pgwire").is_dir():
        yield beside
    elif (spec := importlib.util.find_spec("pgwire")) is not None and spec.origin is not None:
        yield Path(spec.origin).parent  # of a checkout


def _libraries(package: Path) -> Iterator[Path]:
    return (path for path in package.rglob("*.so") if path.name.endswith(tuple(EXTENSION_SUFFIXES)))


def _differs(detail: str) -> ServerUnavailable:
    return ServerUnavailable(
        "compiled modules are not those of this version's sources",
        reference="compiled-code-differs",
        detail=f"{detail[0].upper()}{detail[1:]}.",
        hint="Install pgjit again; in a checkout, delete the file or run: make compiled.",
    )
