"""The bed of a run: PostgreSQL, pgbouncer where it is installed, and pgjit, each reached in its own way.

A *way* is how a client gets to the server: `direct`, through `pgbouncer`, or through `pgjit`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgjit.demo.certificates import Certificates, make_certificates
from tests.bench.pgbouncer import Pgbouncer, pgbouncer_version, run_pgbouncer
from tests.bench.postgres import DATABASE, ROLE, Postgres, run_postgres
from tests.bench.served import Served, run_served

__all__ = ["DIRECT", "PGBOUNCER", "PGJIT", "WAYS", "Bed", "open_bed"]

DIRECT, PGBOUNCER, PGJIT = "direct", "pgbouncer", "pgjit"
WAYS = (DIRECT, PGBOUNCER, PGJIT)


@dataclass
class Bed:
    folder: Path
    certificates: Certificates
    postgres: Postgres
    pgjit: Served
    pgbouncer: Pgbouncer | None
    ways: tuple[str, ...]

    def group(self, way: str) -> int | None:
        """The process group of the proxy; direct has none."""
        if way == PGJIT:
            return self.pgjit.group
        return self.pgbouncer.group if way == PGBOUNCER and self.pgbouncer else None

    def environment(self, way: str, policy: str = "bench-read") -> dict[str, str]:
        """What libpq needs to connect in this way, beside the environment without its settings."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment |= {"PGHOST": "127.0.0.1", "PGDATABASE": DATABASE, "PGUSER": ROLE, "PGSSLMODE": "require"}
        environment |= {"PGPASSWORD": self.postgres.password, "PGCONNECT_TIMEOUT": "60"}
        if way == PGJIT:
            return environment | {
                "PGPORT": str(self.pgjit.port), "PGUSER": policy, "PGPASSWORD": self.pgjit.token,
            }  # fmt: skip
        if way == PGBOUNCER:
            assert self.pgbouncer is not None
            return environment | {"PGPORT": str(self.pgbouncer.port)}
        server = self.postgres
        mode = "require" if server.tls else "disable"
        return environment | {"PGHOST": server.host, "PGPORT": str(server.port), "PGSSLMODE": mode}


@contextmanager
def open_bed(ways: tuple[str, ...] = WAYS, scale: int = 10) -> Iterator[Bed]:
    """Starts what `ways` need. Leaving the block stops it and removes its files."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="pgjit-bench-", ignore_cleanup_errors=True))
        )
        folder.chmod(0o755)  # the account of the servers has to get there
        certificates = make_certificates(folder)
        postgres = stack.enter_context(run_postgres(folder, certificates, scale))
        place = str(postgres.socket_dir), postgres.port, postgres.password
        pgbouncer = None
        if pgbouncer_version() is None:
            ways = tuple(way for way in ways if way != PGBOUNCER)
        elif PGBOUNCER in ways:
            pgbouncer = stack.enter_context(run_pgbouncer(folder, certificates, *place))
        pgjit = stack.enter_context(run_served(folder, certificates, *place))
        yield Bed(folder, certificates, postgres, pgjit, pgbouncer, ways)
