"""Fuzzing guided by coverage: `make fuzz`. Arguments go to libFuzzer.

What reached something new is kept in `.fuzz/corpus` for the next run, unless `-runs` bounds this one: that begins
with the seeds alone, so that it can be repeated. An input that failed is left in `.fuzz`; given as an argument it
fails again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pgwire", "pgjit.proxy"]):
    from tests.fuzz import targets

__all__ = ["main"]

_KEPT = Path(".fuzz")


def main(arguments: list[str]) -> None:
    again = any(Path(argument).is_file() for argument in arguments)
    bounded = any(argument.startswith("-runs=") for argument in arguments)
    with tempfile.TemporaryDirectory() as directory:
        for index, seed in enumerate(targets.seeds()):
            (Path(directory) / str(index)).write_bytes(seed)
        (_KEPT / "corpus").mkdir(parents=True, exist_ok=True)
        kept = [] if bounded else [str(_KEPT / "corpus")]
        where = [] if again else [*kept, directory]
        atheris.Setup(["fuzz", f"-artifact_prefix={_KEPT}/", *arguments, *where], targets.one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
