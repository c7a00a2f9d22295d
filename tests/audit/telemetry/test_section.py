"""The `otlp` section: every fault has its place, and records that leave the machine unencrypted are warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pgjit.audit.telemetry.section import OtlpSection, otlp_target, otlp_warnings
from pgjit.document import Document


def _document(folder: Path) -> Document:
    path = folder / "pgjit.yaml"
    path.write_text("otlp:\n  endpoint: http://localhost:4318\n  headers: keys\n  certificate: ca.pem\n")
    return Document.read(path)


def test_headers_are_read_from_their_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# a comment\n\nAuthorization: Bearer s3cret\nx-scope: a b\n")
    document = _document(tmp_path)
    section = OtlpSection(endpoint="https://otel.example/base/", headers=Path("keys"))
    target = otlp_target(document, tmp_path, section)
    assert target.headers == {"authorization": "Bearer s3cret", "x-scope": "a b"}
    assert target.endpoint == "https://otel.example/base"
    assert "s3cret" not in repr(target)
    assert document.faults == []


@pytest.mark.parametrize("content", [b"no header\n", b"bad name: x\n", b"name:\n", b"name: \xc3\xa9\n", b"\xff"])
def test_what_is_no_header_is_a_fault_that_does_not_show_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    document = _document(tmp_path)
    otlp_target(document, tmp_path, OtlpSection(endpoint="http://localhost:4318", headers=Path("keys")))
    (fault,) = document.faults
    assert "pgjit.yaml:3" in fault
    assert "no header" not in fault


def test_files_that_cannot_be_used_are_faults(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    document = _document(tmp_path)
    section = OtlpSection(endpoint="https://o:1", headers=Path("none"), certificate=Path("ca.pem"))
    otlp_target(document, tmp_path, section)
    assert len(document.faults) == 2


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4318", "ftp://host", "http://", "https://user:key@host", "https://host/?key=x", "https://host/#x"],
)
def test_what_is_no_base_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        OtlpSection(endpoint=endpoint)


@pytest.mark.parametrize(
    ("endpoint", "logs", "warned"),
    [
        ("http://collector:4318", True, True),
        ("http://collector:4318", False, False),
        ("https://collector:4318", True, False),
        ("http://localhost:4318", True, False),
        ("http://127.0.0.1:4318", True, False),
        ("http://[::1]:4318", True, False),
        ("http://10.0.0.8:4318", True, True),
    ],
)
def test_records_that_leave_the_machine_unencrypted_are_warned_of(endpoint: str, logs: bool, warned: bool) -> None:
    assert bool(otlp_warnings(OtlpSection(endpoint=endpoint, logs=logs))) is warned
