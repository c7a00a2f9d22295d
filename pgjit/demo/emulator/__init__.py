"""A local Entra emulator: for the demo, for the tests and for trying policies out.

`settings.py` is what it is told and `directory.py` what it knows; `resource.py`, `claims.py` and `issuer.py` make a
token; `token_endpoint.py`, `assertions.py`, `device.py`, `managed_identity.py`, `metadata.py`, `graph.py` and
`admin.py` are its endpoints, `faults.py` what may go wrong with them, `http.py` and `server.py` serve them.
No real system must ever trust it: its keys are made at each start and whoever asks for a token may have one.
"""

from __future__ import annotations

from pgjit.demo.emulator.directory import (
    AZURE_CLI,
    Api,
    FederatedCredential,
    GroupClaims,
    PrincipalKind,
    RegisteredPrincipal,
    TenantDirectory,
)
from pgjit.demo.emulator.faults import Fault, FaultKind
from pgjit.demo.emulator.issuer import ABSENT
from pgjit.demo.emulator.server import Emulator, TlsFiles
from pgjit.demo.emulator.settings import AppCredentials, EmulatorSettings, Member, read_settings

__all__ = [
    "ABSENT",
    "AZURE_CLI",
    "Api",
    "AppCredentials",
    "Emulator",
    "EmulatorSettings",
    "Fault",
    "FaultKind",
    "FederatedCredential",
    "GroupClaims",
    "Member",
    "PrincipalKind",
    "RegisteredPrincipal",
    "TenantDirectory",
    "TlsFiles",
    "read_settings",
]  # fmt: skip
