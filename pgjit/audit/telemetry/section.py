"""The `otlp` section of the configuration. Decides its keys, their limits and their defaults."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pgjit.document import Document
from pgjit.telemetry.otlp import OtlpTarget

__all__ = ["OtlpSection", "otlp_target", "otlp_warnings"]

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x20-\x7e]+)")


class OtlpSection(BaseModel):
    """An OpenTelemetry collector, or a service that speaks OTLP over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str = Field(description="its base URL, such as `http://localhost:4318`; `/v1/logs` and so on follow")
    headers: Path | None = Field(
        default=None, description="file with headers of each request, such as an API key: `name: value` a line"
    )
    certificate: Path | None = Field(default=None, description="PEM file of the CA; without it, the system's CAs")
    compression: Literal["gzip", "none"] = Field(default="gzip", description="of what is sent")
    timeout: float = Field(default=10, gt=0, le=120, description="seconds that the collector has for each request")
    logs: bool = Field(
        default=True, description="send the journal's records, with their statements and values, at least once"
    )
    metrics: bool = Field(default=True, description="send the metrics")
    metrics_seconds: float = Field(default=60, ge=1, le=3600, description="seconds from one sending to the next")
    traces: bool = Field(default=True, description="send spans of sessions and executions, without values")
    sample: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description=(
            "share of the sessions that have spans, with all of their executions; an execution whose statement names "
            "an agent's own trace follows the agent's decision"
        ),
    )

    @field_validator("endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("is not a URL such as `https://collector.internal:4318`")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("has more than a host, a port and a path; secrets belong into `headers`")
        return value.rstrip("/")


def otlp_target(document: Document, folder: Path, section: OtlpSection) -> OtlpTarget:
    """The collector with its headers. What cannot be right is added to `document` as a fault."""
    headers = {} if section.headers is None else _read_headers(document, folder / section.headers)
    certificate = None if section.certificate is None else folder / section.certificate
    if certificate is not None:
        try:
            ssl.create_default_context(cafile=str(certificate))
        except (OSError, ssl.SSLError) as fault:
            document.fault(("otlp", "certificate"), f"`{certificate}` cannot be used: {fault}")
    return OtlpTarget(
        endpoint=section.endpoint,
        headers=headers,
        certificate=None if certificate is None else str(certificate),
        compression=section.compression == "gzip",
        timeout=section.timeout,
    )


def otlp_warnings(section: OtlpSection) -> list[str]:
    url = urlsplit(section.endpoint)
    if url.scheme == "https" or not section.logs or _is_local(url.hostname or ""):
        return []
    what = "records leave this machine with the values of statements; use https, or a collector on this machine"
    return [f"otlp.endpoint {section.endpoint} is not encrypted: {what}"]


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_headers(document: Document, path: Path) -> dict[str, str]:
    where = ("otlp", "headers")
    headers: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        document.fault(where, f"`{path}` cannot be read: {getattr(fault, 'strerror', None) or 'it is not text'}")
        return headers
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        header = _HEADER.fullmatch(line.strip())
        if header is None:
            document.fault(where, f"line {number} of `{path}` is not `name: value`")
        else:
            headers[header[1].lower()] = header[2]
    return headers
