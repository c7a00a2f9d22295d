"""The certificates that the configuration names, and when each of them expires.

Decides which those are: what clients see, and what pgjit logs in with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pgjit.config import Config
from pgjit.doctor.certificates import chain_ends

__all__ = ["CertificateFile", "certificate_files", "expiries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFile:
    key: str  # of the configuration, as people write it: `tls.certificate`
    path: Path
    serves: bool = True  # False: pgjit is the client


def certificate_files(config: Config) -> Iterator[CertificateFile]:
    """Those of the proxy, of the HTTP API where it has its own, and of the connections."""
    yield CertificateFile(key="tls.certificate", path=config.path(config.file.tls.certificate))
    if config.file.api is not None and config.file.api.tls is not None:
        yield CertificateFile(key="api.tls.certificate", path=config.path(config.file.api.tls.certificate))
    for name, target in config.targets.items():
        if target.sslcert is not None:
            key = f"connections.{name}.sslcert"
            yield CertificateFile(key=key, path=Path(target.sslcert), serves=False)


def expiries(config: Config) -> dict[str, datetime]:
    """When the first certificate of each chain expires, by key. A file that cannot be read is left out."""
    found = {}
    for each in certificate_files(config):
        try:
            ends = chain_ends(each.path.read_bytes())
        except OSError:
            continue
        if ends is not None:
            found[each.key] = ends
    return found
