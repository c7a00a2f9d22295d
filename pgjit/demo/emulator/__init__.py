"""A local stand-in for Microsoft Entra and Microsoft Graph: for the demo, for tests and for trying policies out.

This room decides which tokens the emulator issues, with which claims and errors. It follows Entra closely enough
that azure-identity and pgjit's own code cannot see the difference.

Words:

- *principal*: an app, a person, a managed identity or an agent that tokens are about (`directory.py`).
- *directory*: one tenant with its principals and groups.
- *cloud*: all tenants, the API, the keys and the pending codes: what the endpoints share (`cloud.py`).
- *assertion*: a signed statement that a client sends in place of a secret (`assertions.py`).
- *fault*: a delay, a status or a broken connection that a test requested for an endpoint (`faults.py`).

Start reading with `server.py`, the object that tests start. Then follow a token: `http.py` routes the request,
`token_endpoint.py` handles it, `resource.py` reads the scope, `claims.py` chooses the claims, `issuer.py` signs.

- `settings.py` reads the configuration file. `admin.py` is the API that changes principals and faults at run time.
- `metadata.py`, `device.py`, `managed_identity.py` and `graph.py` are further endpoints.

The emulator does not know policies, windows or databases. INVARIANT: no real system may trust it. It makes new keys
at each start, and whoever reaches it can get a token.
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
