"""The errors of the token endpoint: OAuth's error name, with Entra's number and form."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

__all__ = ["NO_STORE", "OAuthError"]

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    def __init__(self, error: str, number: int, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.number, self.description, self.status = error, number, description, status

    def content(self) -> dict[str, object]:
        """The response body in Entra's wording. The description never holds a secret of the caller."""
        trace, correlation, at = uuid.uuid4(), uuid.uuid4(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
        text = f"AADSTS{self.number}: {self.description}"
        return {
            "error": self.error,
            "error_description": f"{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}",
            "error_codes": [self.number],
            "timestamp": at,
            "trace_id": str(trace),
            "correlation_id": str(correlation),
        }
