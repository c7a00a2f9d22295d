"""What the command line prints is safe for a terminal: see `pgjit/audit/plain_text.py`."""

from __future__ import annotations

from pgjit.audit.plain_text import plain

__all__ = ["plain"]
