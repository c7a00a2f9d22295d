"""pgbench in its three modes, on a script that reads; and on one that writes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.matrix.python.report import check

__all__: list[str] = []

READ = "\\set id random(1, 100)\nSELECT name FROM customers WHERE id = :id;\nSELECT 40 + 2;\n"
WRITE = "DELETE FROM notes;\n"


def _run(program: str, mode: str, script: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        return subprocess.run(
            [program, "-n", "-M", mode, "-f", str(path), "-c", "2", "-t", "25"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def _read(program: str, mode: str) -> None:
    done = _run(program, mode, READ)
    assert done.returncode == 0, done.stderr
    assert "number of transactions actually processed: 50/50" in done.stdout


def _write(program: str) -> None:
    done = _run(program, "simple", WRITE)
    assert done.returncode != 0
    assert "ERROR:" in done.stderr, done.stderr


def main(program: str) -> None:
    for mode in ("simple", "extended", "prepared"):
        check(mode, lambda mode=mode: _read(program, mode))  # type: ignore[misc]
    check("refused", lambda: _write(program))


if __name__ == "__main__":
    main(sys.argv[1])
