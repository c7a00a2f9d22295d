"""What is in the folder of a journal, for tests: all of its segments as one text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pgjit.audit.segments import list_segments

__all__ = ["journal_lines", "journal_records", "journal_text"]


def journal_lines(folder: Path) -> list[str]:
    """Its complete lines; none if there is no folder yet."""
    segments = list_segments(folder) if folder.exists() else ()
    return [line.decode() for segment in segments for line in segment.lines()]


def journal_text(folder: Path) -> str:
    return "".join(f"{line}\n" for line in journal_lines(folder))


def journal_records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal_lines(folder)]
