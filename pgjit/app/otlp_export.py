"""Starts the process that sends records, spans and metrics by OTLP, if the configuration names a collector.

Decides what it gets to know, and that it outlives the journal: so it sends the journal's last record, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pgjit.audit.telemetry.export_process import ExportProcess
from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.config import Config
from pgjit.telemetry import Telemetry
from pgjit.telemetry.metric_snapshot import snapshot

__all__ = ["exported_index", "exporting"]


@asynccontextmanager
async def exporting(
    config: Config, folder: Path, version: str, telemetry: Telemetry
) -> AsyncIterator[ExportProcess | None]:
    """`folder`: the journal's, which need not exist yet."""
    section, target = config.file.otlp, config.otlp
    if section is None or target is None:
        yield None
        return
    settings = ExportSettings(
        folder=str(folder),
        target=target,
        logs=section.logs,
        sample=section.sample if section.traces else None,
        metrics_seconds=section.metrics_seconds if section.metrics else None,
        version=version,
        node=config.node,
        log_format=config.file.log.format,
        log_level=config.file.log.level,
    )
    process = ExportProcess(settings, lambda: snapshot(telemetry.metrics))
    async with process.running():
        yield process


def exported_index(export: ExportProcess | None) -> Callable[[], int | None] | None:
    """Reads the index of the next record to send; None if no records are sent."""
    return None if export is None or not export.settings.logs else lambda: export.index
