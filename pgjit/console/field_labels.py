"""The labels of the fields of the console's forms, for an error that has to name a field as its page does.

Decides nothing. A field that no page shows, such as a digest, has no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FIELD_LABELS"]

FIELD_LABELS: Final[Mapping[str, str]] = {
    "comment": "Comment",
    "journal": "Journal",
    "key": "Public key",
    "kind": "What",
    "length": "For how long",
    "limit": "Rows",
    "name": "Name",
    "other": "a shorter time",
    "proof": "The proof",
    "query": "One SELECT",
    "record": "Record",
    "sql": "Statement",
    "target": "Which",
}
