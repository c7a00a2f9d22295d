"""The collector that everything is sent to, by OTLP over HTTP, and what its answer means.

Decides what is sent again: whatever the collector has not accepted, unless it refuses the content itself. The
exporters of spans and metrics are OpenTelemetry's own; `OtlpAnswers` sees the answers that they keep to themselves.
`OtlpPost` sends what is an OTLP message already.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    import requests
    from opentelemetry.exporter.otlp.proto.http import Compression

__all__ = ["ExporterOptions", "OtlpAnswers", "OtlpPost", "OtlpTarget", "Receipt", "service_attributes"]

_ABOUT_CONTENT: Final = {400, 413, 415, 422}
"""Statuses by which a collector refuses what was sent, whenever it is sent."""


class ExporterOptions(TypedDict):
    """What every OTLP exporter of the SDK takes."""

    endpoint: str
    certificate_file: str | None
    headers: Mapping[str, str]
    timeout: float
    compression: Compression
    session: requests.Session


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpTarget:
    endpoint: str  # the base URL: `/v1/logs` and so on follow
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: str | None = None  # PEM file of the CA
    compression: bool = True
    timeout: float = 10.0  # seconds for one export, its repetitions included

    def url(self, signal: str) -> str:
        return f"{self.endpoint.rstrip('/')}/v1/{signal}"

    def options(self, signal: str, answers: OtlpAnswers) -> ExporterOptions:
        """`signal`: `logs`, `traces` or `metrics`."""
        from opentelemetry.exporter.otlp.proto.http import Compression  # here: only the exporting process needs it

        return ExporterOptions(
            endpoint=self.url(signal),
            certificate_file=self.certificate,
            headers=self.headers,
            timeout=self.timeout,
            compression=Compression.Gzip if self.compression else Compression.NoCompression,
            session=answers.session,
        )


def service_attributes(version: str, node: str) -> dict[str, str]:
    """What names this process to the collector."""
    return {"service.name": "pgjit", "service.version": version, "service.instance.id": node}


class Receipt(Enum):
    """What became of a batch."""

    ACCEPTED = auto()
    AGAIN = auto()  # the collector is away, busy or refuses us: the same batch may be accepted later
    REFUSED = auto()  # the collector will never accept this content


class OtlpAnswers:
    """The HTTP session of one exporter, which remembers the latest answer."""

    def __init__(self) -> None:
        import requests  # here: its import takes long, and opens a socket

        self.session = requests.Session()
        self.session.hooks["response"].append(self._keep)
        self._status: int | None = None
        self.content = b""

    def _keep(self, response: requests.Response, *_: object, **__: object) -> None:
        self._status, self.content = response.status_code, response.content

    def watch(self, export: Callable[[], Any]) -> Receipt:
        """Run one export and read its answer. Does not raise."""
        self._status, self.content = None, b""
        try:
            export()
        except Exception:  # noqa: BLE001 - whatever fails here is tried again
            return Receipt.AGAIN
        return self._receipt

    @property
    def _receipt(self) -> Receipt:
        if self._status is not None and 200 <= self._status < 300:
            return Receipt.ACCEPTED
        return Receipt.REFUSED if self._status in _ABOUT_CONTENT else Receipt.AGAIN

    @property
    def fault(self) -> str:
        """Why the latest export was not accepted, without the answer's text."""
        return "no answer" if self._status is None else f"HTTP status {self._status}"


class OtlpPost:
    """Sends the messages of one signal, each in one request. What is not accepted is not repeated here."""

    def __init__(self, target: OtlpTarget, signal: str) -> None:
        self.answers = OtlpAnswers()
        self._url = target.url(signal)
        self._headers = {"Content-Type": "application/x-protobuf", **target.headers}
        self._timeout = target.timeout
        self._compressed = target.compression
        self._verified: str | bool = target.certificate or True
        if target.compression:
            self._headers["Content-Encoding"] = "gzip"

    def send(self, message: bytes) -> Receipt:
        """Does not raise. It blocks until the collector has answered, or has not in time."""
        body = gzip.compress(message, compresslevel=1) if self._compressed else message
        return self.answers.watch(
            lambda: self.answers.session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, verify=self._verified
            )
        )
