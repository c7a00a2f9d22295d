"""Compiles modules with mypyc, in a tree of sources that is laid out as it is installed.

    python building/compile_modules.py TREE MODULE ...

Each library is written beside its source. `pgjit/compiled.json` lists both with their SHA-256: `pgjit/build.py`
refuses to start where a file is not the one that was built. Without arguments it only says what is missing here.

Decides how modules are compiled; `pyproject.toml` decides which.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

__all__ = ["compile_modules", "missing"]

_GROUP = "pgjit"  # all modules are in one library: calls between them are calls in C
_OPTIMIZATION = "1"  # at 2 the compiler takes twice as long, and a transaction 1 % less
# Types are checked by `make types`, with all dependencies installed. Here none is needed, so every machine compiles
# the same code: what a dependency returns has no known type.
_CONFIGURATION = """
[mypy]
no_site_packages = True
ignore_missing_imports = True
[mypy-pgjit.*,pgwire.*]
ignore_errors = True
[mypy-{modules}]
ignore_errors = False
"""


def missing() -> str | None:
    """What this machine lacks to compile. None if it can."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"a C compiler: `{compiler}` is not installed (Debian: apt-get install gcc libc6-dev)"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        return f"the headers of this Python: {header} is missing (Debian: apt-get install python3-dev)"
    return None


def compile_modules(tree: Path, modules: Sequence[str]) -> None:
    """Raises SystemExit if it cannot be done."""
    if (lacking := missing()) is not None:
        raise SystemExit(f"modules cannot be compiled: this machine does not have {lacking}")
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    os.chdir(tree)  # mypyc names modules after their paths from here
    sources = [Path(*module.split(".")).with_suffix(".py") for module in modules]
    if unknown := [str(source) for source in sources if not source.is_file()]:
        raise SystemExit(f"modules cannot be compiled: there is no {', '.join(unknown)}")
    Path("mypy.ini").write_text(_CONFIGURATION.format(modules=",".join(modules)))
    extensions = mypycify(
        ["--config-file=mypy.ini", "pgwire", "pgjit"],
        only_compile_paths=[str(source) for source in sources],
        group_name=_GROUP, opt_level=_OPTIMIZATION, debug_level="0",
    )  # fmt: skip
    command = build_ext(Distribution({"name": _GROUP, "ext_modules": extensions}))
    command.inplace = True
    command.ensure_finalized()
    command.run()
    libraries = [path for path in Path().rglob("*.so") if path.parts[0] != "build"]
    written = Path("pgjit", "compiled.json")
    written.write_text(json.dumps({"sources": _digests(sources), "libraries": _digests(libraries)}, indent=1) + "\n")


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {file.as_posix(): sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_modules(Path(sys.argv[1]), sys.argv[2:])
    elif (lacking := missing()) is not None:
        sys.exit(f"modules cannot be compiled: this machine does not have {lacking}")
