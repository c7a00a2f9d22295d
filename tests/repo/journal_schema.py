"""Writes the JSON schema of the journal's records to docs/journal.schema.json. Run by `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from pgjit.audit.journal_schema import journal_schema

__all__ = ["PAGE", "written"]

PAGE = Path(__file__).parents[2] / "docs" / "journal.schema.json"


def written() -> str:
    return json.dumps(journal_schema(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
