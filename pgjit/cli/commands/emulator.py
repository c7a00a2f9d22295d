"""`pgjit emulator`: runs the local Entra emulator, for tests and for trying policies out."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["emulator"]

_WARNING = """\
pgjit emulator: FOR TESTS ONLY. Its tokens prove nothing: its secrets are in a file or made up, and whoever reaches
the admin API can get a token for any identity. No system with real data may trust it."""

_Port = Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")]


def emulator(
    config: Annotated[
        Path | None, typer.Option(help="YAML file with principals, groups and the API (docs/entra.md).")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: _Port = 8080,
    identity_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the managed-identity endpoints; 0 takes a free one.")
    ] = 0,
    tls_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The same endpoints over TLS, for clients that require it.")
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file for `localhost`. Without it the emulator makes one and prints its CA."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
) -> int:
    """Run the local Entra emulator, for trying policies out. Never let a real system trust it.

    It issues tokens of versions 1 and 2, by secret, certificate, managed identity, workload identity federation and
    device code, also for agents. It answers Graph's requests about memberships, injects faults, and has an admin API
    at /admin. It makes new keys at each start.

    It prints its addresses as one JSON line on standard output.
    """
    from pgjit.cli.loop import run_program

    if (tls_certificate is None) != (tls_key is None) or (tls_certificate and tls_port is None):
        raise WrongUsage("--tls-certificate and --tls-key go together, and need --tls-port")
    with contextlib.ExitStack() as folder:
        certificate = key = authority = None
        if tls_port is not None and tls_certificate is None:
            from pgjit.demo.certificates import make_certificates

            made = make_certificates(Path(folder.enter_context(tempfile.TemporaryDirectory(prefix="pgjit-"))))
            certificate, key, authority = made.certificate, made.key, made.authority
        elif tls_port is not None:
            certificate, key = tls_certificate, tls_key
        tls = (certificate, key) if certificate and key else None
        return run_program(_emulator(config, host, port, identity_port, tls_port or 0, tls, authority))


async def _emulator(
    config: Path | None,
    host: str,
    port: int,
    identity_port: int,
    tls_port: int,
    tls: tuple[Path, Path] | None,
    authority: Path | None,
) -> int:
    from pgjit.cli.loop import stop_signal
    from pgjit.demo.emulator import Emulator, TlsFiles, read_settings

    stop = stop_signal()
    served = Emulator(read_settings(config)) if config else Emulator()
    files = TlsFiles(*tls) if tls else None
    await served.start(host, port, tls=files, tls_port=tls_port, identity_port=identity_port)
    try:
        print(_WARNING, file=sys.stderr, flush=True)
        places = {
            "authority": served.url,
            "tenant": served.tenant,
            "audience": served.audience,
            "tls_authority": served.tls_url or None,
            "ca": str(authority) if authority else None,
            "managed_identity": served.identity_url,
            "identity_endpoint": f"{served.identity_url}/msi/token",
            "identity_header": served.identity_header,
            "admin": f"{served.url}/admin",
        }
        print(json.dumps({name: value for name, value in places.items() if value is not None}), flush=True)
        await stop.wait()
    finally:
        await served.close()
    return Status.OK
