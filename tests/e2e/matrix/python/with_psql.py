"""psql: scripts on its standard input, its own messages on its standard error."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

from tests.e2e.matrix.python.report import NUMBERS, VALUE, check

__all__: list[str] = []


class Psql:
    def __init__(self, program: str) -> None:
        self._command = [program, "-X", "-A", "-t", "-q", "-v", "VERBOSITY=verbose", "-f", "-"]
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        self.version = int(said.split()[2].partition(".")[0])

    def begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ask(self, script: str, *errors: str) -> str:
        """What the script answers; the SQLSTATEs of the errors that it meets have to be `errors`."""
        out, err = self.begin().communicate(script, timeout=40)
        assert re.findall(r"ERROR:\s+(\w{5}):", err) == list(errors), err
        return out.strip()


def simple(psql: Psql) -> None:
    assert psql.ask("SELECT 40 + 2;") == "42"


def prepared(psql: Psql) -> None:
    script = "PREPARE sum(int, int) AS SELECT $1 + $2; EXECUTE sum(1, 2); EXECUTE sum(2, 2); DEALLOCATE sum;"
    assert psql.ask(script).split() == ["3", "4"]
    assert psql.ask("SELECT 1 AS one, 'x'::text AS two \\gdesc") == "one|integer\ntwo|text"


def null(psql: Psql) -> None:
    assert psql.ask("\\pset null (none)\n\\bind\nSELECT CAST(NULL AS text);\n") == "(none)"


def binary(psql: Psql) -> None:
    """psql has no binary format: bytes in their textual form."""
    every = "".join(f"{byte:02x}" for byte in range(256))
    assert psql.ask(f"SELECT encode($1::bytea, 'hex') \\bind '\\\\x{every}' \\g\n") == every


def bind(psql: Psql) -> None:
    assert psql.ask("SELECT $1::int + $2::int \\bind 40 2 \\g\n") == "42"


def rows(psql: Psql) -> None:
    out = psql.ask("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i;")
    assert sum(int(line.partition("|")[0]) for line in out.splitlines()) == NUMBERS


def value(psql: Psql) -> None:
    assert psql.ask("SELECT repeat('0123456789abcdef', 262144);") == VALUE


def copy_out(psql: Psql) -> None:
    wanted = int(psql.ask("SELECT count(*) FROM order_lines;"))
    assert len(psql.ask("COPY (SELECT * FROM order_lines) TO STDOUT;").splitlines()) == wanted
    assert len(psql.ask("\\copy order_lines TO STDOUT").splitlines()) == wanted


def refused(psql: Psql) -> None:
    out, err = psql.begin().communicate("DELETE FROM notes;\nSELECT 'alive';\n", timeout=40)
    assert out == "alive\n"
    for part in ("ERROR:  42501:", "DETAIL:", "HINT:"):
        assert part in err, err


def alive(psql: Psql) -> None:
    assert "customer_id" in psql.ask("\\d orders\n\\dt\n\\df\n\\dn+\n\\du\n")


def transaction(psql: Psql) -> None:
    script = (
        "BEGIN; SELECT count(*) > 0 FROM orders;\nDELETE FROM notes;\nSELECT 'too late';\nROLLBACK;\nSELECT 'after';"
    )
    assert psql.ask(script, "42501", "25P02").split() == ["t", "after"]


def cancel(psql: Psql) -> None:
    """As Ctrl-C does it."""
    running = psql.begin()
    assert running.stdin is not None
    running.stdin.write("SELECT pg_sleep(60);\nSELECT 'alive';\n")
    running.stdin.flush()
    found = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60);' AND state = 'active';"
    for _ in range(200):
        if psql.ask(found) == "1":
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=40)
    assert "ERROR:  57014:" in err, err


def pipeline(psql: Psql) -> None:
    script = (
        "\\startpipeline\nSELECT $1::int * 2 \\bind 1 \\sendpipeline\nSELECT $1::int * 2 \\bind 2 \\sendpipeline\n"
        "\\syncpipeline\nDELETE FROM notes \\bind \\sendpipeline\nSELECT 'passed over' \\bind \\sendpipeline\n"
        "\\syncpipeline\nSELECT 'last' \\bind \\sendpipeline\n\\endpipeline\n"
    )
    assert psql.ask(script, "42501").split()[:2] == ["2", "4"]


def main(program: str) -> None:
    psql = Psql(program)
    check("login", lambda: psql.ask("SELECT 'in';"))
    runs = [simple, prepared, rows, value, copy_out, refused, alive, transaction, cancel]
    runs += [bind, null, binary] if psql.version >= 16 else []
    runs += [pipeline] if psql.version >= 18 else []
    for run in runs:
        check(run.__name__.replace("_", "-"), lambda run=run: run(psql))  # type: ignore[misc]


if __name__ == "__main__":
    main(sys.argv[1])
