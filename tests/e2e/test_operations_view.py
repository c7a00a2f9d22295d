"""What operators see of a session: the metrics at /metrics, and the lines of the program's own log."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.telemetry.log_line import TextLines
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import READERS, add_reader, open_world
from tests.fakes.collector import Collector, attributes_of
from tests.fakes.local_http import local_http
from tests.run.waiting import until

SECRET = "quetzal-4711"
_TRACE = "0af7651916cd43dd8448eb211c80319c"
_COMMENT = f"/*traceparent='00-{_TRACE}-b7ad6b7169203331-01'*/"


async def _metrics(world: World) -> dict[tuple[str, ...], float]:
    async with local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as client:
        page = (await client.get("/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def test_a_session_is_in_the_metrics_in_the_log_and_at_the_collector(
    database: DemoDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pgjit")
    caplog.handler.setFormatter(TextLines())
    with Collector() as collector:
        otlp = {"endpoint": collector.endpoint, "sample": 0}
        async with open_world(database, tmp_path, config={"otlp": otlp}) as world:
            token = await _session(world, caplog)
            await until(lambda: len(collector.logs) > 5)
        files = sorted((tmp_path / "journal").glob("0*.jsonl"))
    _check_log(caplog.text, token)
    lines = [line for file in files for line in file.read_text().splitlines()]
    _check_collector(collector, lines, database.database)


def _check_collector(collector: Collector, lines: list[str], database: str) -> None:
    """It has every record, the last one too, and the one execution that names a trace."""
    assert [record.body.string_value for record in collector.logs] == lines
    assert collector.logs[-1].event_name == "pgjit.service.stopped"
    (span,) = collector.spans
    attributes = attributes_of(span.attributes)
    assert span.trace_id.hex() == _TRACE
    assert attributes["db.query.text"] == "SELECT g, $1::text FROM generate_series($2, $3) AS g"
    assert attributes["db.namespace"] == database
    assert attributes["db.response.returned_rows"] == 7
    assert SECRET not in str(span)


async def _session(world: World, caplog: pytest.LogCaptureFixture) -> str:
    """One session with one statement that runs and one that is refused, and one refused login."""
    before = await _metrics(world)
    assert before["pgjit_executions_total", "allow", "reader"] == 0
    assert before["pgjit_dependency_up", "server", "prod-replica"] == 1
    token = await world.token(add_reader(world))
    connection = await connect_psycopg(world, token, "reader")
    await connection.execute(f"SELECT g, %s::text FROM generate_series(1, 7) AS g {_COMMENT}".encode(), (SECRET,))
    with pytest.raises(psycopg.Error):
        await connection.execute(f"DELETE FROM pg_class WHERE relname = '{SECRET}'".encode())
    during = await _metrics(world)
    assert during["pgjit_sessions", "reader"] == during["pgjit_windows", "reader"] == 1
    await connection.close()
    with pytest.raises(psycopg.OperationalError):
        await connect_psycopg(world, token + "x", "reader")
    await until(lambda: "session has ended: client" in caplog.text)
    after = await _metrics(world)
    assert after["pgjit_sessions", "reader"] == 0
    assert after["pgjit_executions_total", "allow", "reader"] == 1
    assert after["pgjit_executions_total", "deny", "reader"] == 1
    assert after["pgjit_executions_ended_total", "completed", "reader"] == 1
    assert after["pgjit_executions_ended_total", "refused", "reader"] == 1
    assert after["pgjit_rows_total", "reader"] == 7
    assert after["pgjit_sent_bytes_total", "reader"] > 7 * len(SECRET)
    assert after["pgjit_execution_duration_seconds_count", "reader"] == 1
    assert after["pgjit_logins_total", "opened"] == 1
    assert after["pgjit_logins_total", "bad-signature"] + after.get(("pgjit_logins_total", "malformed-token"), 0) == 1
    assert after["pgjit_journal_records_total",] > before["pgjit_journal_records_total",]
    assert after["pgjit_journal_size_bytes",] > 0
    assert after["pgjit_proxy_overhead_seconds_count",] > 0

    return token


def _check_log(text: str, token: str) -> None:
    lines = text.splitlines()
    (opened,) = (line for line in lines if "is open under policy reader" in line)
    (window,) = (line for line in lines if "under policy reader, until" in line)
    (ended,) = (line for line in lines if "session has ended: client" in line)
    (refused,) = (line for line in lines if "login refused" in line)
    ids = opened[opened.index(" session=") :]
    assert ids == ended[ended.index(" session=") :]
    assert ids.split(" window=")[1] in window
    assert "reference=" in refused
    assert "source=127.0.0.1:" in refused
    assert SECRET not in text
    assert token not in text
    assert READERS not in text
