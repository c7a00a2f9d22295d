"""pg_dump, which sets and locks more than a policy for reading allows: it has to be told so, and to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.matrix.python.report import check

__all__: list[str] = []


def _refused(program: str, *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [program, *options, "-f", str(Path(folder) / "dump")],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode != 0, "it was not refused"
    assert "ERROR:" in done.stderr, done.stderr
    assert "HINT:" in done.stderr, done.stderr


def main(program: str) -> None:
    check("whole", lambda: _refused(program))
    check("schema", lambda: _refused(program, "--schema-only"))
    check("parallel", lambda: _refused(program, "--format=directory", "--jobs=2"))


if __name__ == "__main__":
    main(sys.argv[1])
