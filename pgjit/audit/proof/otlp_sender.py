"""Sends each checkpoint to an OpenTelemetry collector, as one log record: `pgjit.checkpoint`.

Decides what it contains: the signed note is the body, so `pgjit audit verify` takes what the collector keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.telemetry.otlp import OtlpTarget
from pgjit.telemetry.otlp_logs import attribute, log_message, logs_request, rejected_log_records

__all__ = ["OtlpSender"]

_INFO = (9, "INFO")
_LARGEST_ANSWER = 64 * 1024


class OtlpSender:
    def __init__(
        self,
        target: OtlpTarget,
        resource: Mapping[str, object],
        client: httpx.AsyncClient,
        clock: Callable[[], datetime],
    ) -> None:
        """`resource`: the attributes of this process. `client`: accepts the collector's certificate."""
        self.name = f"collector {httpx.URL(target.endpoint).host}"
        self._url = target.url("logs")
        self._headers = {"Content-Type": "application/x-protobuf", **target.headers}
        self._resource = resource
        self._client = client
        self._clock = clock

    async def send(self, signed: SignedCheckpoint) -> None:
        body = logs_request(self._resource, [self._record(signed)])
        async with self._client.stream("POST", self._url, content=body, headers=self._headers) as answer:
            if not answer.is_success:
                raise OSError(f"it answered {answer.status_code}")
            content = b""
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > _LARGEST_ANSWER:
                    raise OSError("its answer is too long")
        if rejected_log_records(content):
            raise OSError("it refused the record")

    def _record(self, signed: SignedCheckpoint) -> bytes:
        origin, size = signed.checkpoint.origin, signed.checkpoint.size
        now = int(self._clock().timestamp() * 1_000_000) * 1_000
        attributes: dict[str, str | int] = {
            "log.record.uid": f"{origin}/checkpoint/{size}",
            "pgjit.journal.origin": origin,
            "pgjit.journal.size": size,
        }
        return log_message(
            signed.note.content().decode(),
            [attribute(*each) for each in attributes.items()],
            time=now,
            observed=now,
            severity=_INFO,
            event="pgjit.checkpoint",
        )
