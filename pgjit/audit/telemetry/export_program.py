"""The program of the exporting process: sends the journal and the metrics until its parent closes its input.

Decides when it tries again, and what it reports: each new state, as a line of JSON on standard output.
It has a lower priority than the proxy, and is killed before it when memory runs out.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import orjson
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.resources import Resource

from pgjit.audit.segments.journal_tail import JournalTail
from pgjit.audit.telemetry.cursor import CursorDamaged, CursorFile
from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.audit.telemetry.export_state import ExportState
from pgjit.audit.telemetry.journal_export import JournalExport
from pgjit.telemetry.otlp import OtlpAnswers, service_attributes
from pgjit.telemetry.otlp_metrics import metrics_data
from pgjit.telemetry.program_log import ProgramLog

__all__ = ["CURSOR", "open_export", "run_export"]

CURSOR = "otlp-cursor"
_IDLE_SECONDS = 1.0
_LONGEST_WAIT = 30.0
_LAST_SECONDS = 2.0
_NICENESS = 10
_log = logging.getLogger("pgjit.otlp")


def open_export(settings: ExportSettings, resource: Resource) -> JournalExport | None:
    """The export where it was left; None if the journal does not exist yet. Raises CursorDamaged and OSError."""
    folder = Path(settings.folder)
    try:
        origin = (folder / "origin").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    cursor = CursorFile(folder / CURSOR)
    position = cursor.read()
    if position.origin not in ("", origin):
        _log.warning("the cursor is of journal %s: journal %s is sent from its beginning", position.origin, origin)
        position.index, position.sessions = 0, {}
    position.origin = origin
    tail = JournalTail(
        folder,
        position.index,
        on_loss=lambda what: _log.error("records are not sent: %s", what),
        on_damage=lambda damage: _log.error("records cannot be read, and are not sent: %s", damage),
    )
    return JournalExport(
        tail, cursor, position, settings.target, resource,
        logs=settings.logs, sample=settings.sample,
    )  # fmt: skip


def run_export(
    settings: ExportSettings, resource: Resource, stop: threading.Event, report: Callable[[ExportState], None]
) -> None:
    """Send the journal until `stop`, and then what is left of it, for two seconds at most."""
    export: JournalExport | None = None
    state = ExportState()
    delay = 0.0
    while not stop.wait(delay):
        more = False
        try:
            export = export or open_export(settings, resource)
            if export is not None:
                state = export.state
                more = export.step()
        except (CursorDamaged, OSError) as fault:
            state.failures += 1
            state.fault = str(fault)
        report(state)
        delay = 0.0 if more else _IDLE_SECONDS if state.fault is None else min(_LONGEST_WAIT, max(1.0, 2 * delay))
    last = time.monotonic() + _LAST_SECONDS
    with suppress(CursorDamaged, OSError):
        while export is not None and time.monotonic() < last and export.step():
            pass
    report(state)


def _take_metrics(requests: BinaryIO, settings: ExportSettings, resource: Resource, stop: threading.Event) -> None:
    """Send each snapshot that the parent writes; the end of the input is the parent's."""
    answers, started = OtlpAnswers(), time.time_ns()
    exporter = OTLPMetricExporter(**settings.target.options("metrics", answers))
    for line in requests:
        data = metrics_data(orjson.loads(line), resource, started, time.time_ns())
        answers.watch(lambda data=data: exporter.export(data))  # type: ignore[misc]
    stop.set()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the proxy, which ends this process
    os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the reports
    settings = ExportSettings.from_json(requests.readline())
    resource = Resource(service_attributes(settings.version, settings.node))
    stop = threading.Event()
    metrics = threading.Thread(target=_take_metrics, args=(requests, settings, resource, stop), daemon=True)

    reported = ExportState()

    def report(state: ExportState) -> None:
        nonlocal reported
        if state != reported:
            reported = ExportState(**asdict(state))
            answers.write(orjson.dumps(state) + b"\n")
            answers.flush()

    with ProgramLog(settings.log_format, settings.log_level), suppress(BrokenPipeError):
        metrics.start()
        if settings.logs or settings.sample is not None:
            run_export(settings, resource, stop, report)
        stop.wait()
    sys.stdout.flush()
    os._exit(0)  # a collector that hangs holds up the thread of the metrics, not the end


if __name__ == "__main__":
    _main()
