"""The documents from which a client learns the endpoints: instance discovery and OpenID configuration.

Decides their content. A document names the endpoints at the address of the request, and the issuer by its one name.
The sign-in page is for browsers, which may reach the emulator at another address than programs.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pgjit.demo.emulator.cloud import ANY_TENANT, Cloud
from pgjit.demo.emulator.token_endpoint import GRANTS

__all__ = ["instance", "openid_configuration", "signing_keys", "workload_configuration"]


def openid_configuration(cloud: Cloud, tenant: str, base: str, version: int) -> dict[str, object]:
    """The document of one tenant, or of `common` with the literal `{tenantid}` in its issuer."""
    place = f"{base}/{tenant}"
    infix = "/v2.0" if version == 2 else ""
    return {
        "token_endpoint": f"{place}/oauth2{infix}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{place}/discovery{infix}/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "grant_types_supported": list(GRANTS),
        "issuer": _issuer(cloud, tenant, version),
        "code_challenge_methods_supported": ["S256"],
        "authorization_endpoint": f"{cloud.browser_base or base}/{tenant}/oauth2{infix}/authorize",
        "device_authorization_endpoint": f"{place}/oauth2{infix}/devicecode",
        "tenant_region_scope": None,
        "cloud_instance_name": urlsplit(base).hostname,
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": urlsplit(base).netloc,
    }


def signing_keys(cloud: Cloud, tenant: str, version: int) -> dict[str, object]:
    """Raises OAuthError for an unknown tenant."""
    issuer = _issuer(cloud, tenant, version)
    return cloud.issuer.key_set(issuer if version == 2 else None)


def instance(cloud: Cloud, authorization_endpoint: str, base: str) -> dict[str, object]:
    """Lists the hosts that are aliases, and the address of the tenant's document. Clients omit the port."""
    asked = urlsplit(authorization_endpoint)
    tenant = asked.path.strip("/").split("/")[0]
    hosts = sorted({urlsplit(each).netloc for each in cloud.bases})
    names = {urlsplit(each).hostname for each in cloud.bases}
    if asked.scheme != "https" or asked.hostname not in names or not tenant:
        return {"error": "invalid_instance", "error_description": "AADSTS50049: Unknown or invalid instance."}
    return {
        "tenant_discovery_endpoint": f"{base}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": hosts[0], "preferred_cache": hosts[0], "aliases": hosts}],
    }


def workload_configuration(cloud: Cloud, base: str) -> dict[str, object]:
    """The document of the platform that is not Entra, whose tokens federated credentials accept."""
    return {
        "issuer": cloud.workload_issuer,
        "jwks_uri": f"{base}/workload/keys",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _issuer(cloud: Cloud, tenant: str, version: int) -> str:
    if tenant in ANY_TENANT:
        return cloud.issuer.name("{tenantid}", version)
    return cloud.issuer.name(cloud.directory(tenant).tenant, version)
