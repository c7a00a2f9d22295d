"""The section `api`: groups as tokens write them, and an audience that is not the proxy's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pgjit.api.console_section import ConsoleSection
from pgjit.api.section import HttpApiSection, HttpRolesSection, check_http_api, identity_for_api
from pgjit.document import Document
from pgjit.identity.section import IdentitySection

TENANT, AUDIENCE, OTHER = (f"{digit * 8}-0000-4000-8000-00000000000a" for digit in "123")
ENTRA = IdentitySection.model_validate({"tenant": TENANT, "audience": AUDIENCE})


def faults(audience: str, identity: IdentitySection = ENTRA) -> list[str]:
    document = Document(Path("pgjit.yaml"), b"")
    check_http_api(document, HttpApiSection(audience=audience), identity)
    return document.faults


@pytest.mark.parametrize("audience", [AUDIENCE, AUDIENCE.upper(), AUDIENCE.replace("-", "")])
def test_the_audience_of_the_proxy_is_refused_in_every_spelling(audience: str) -> None:
    [fault] = faults(audience)
    assert "is the audience of the proxy" in fault


def test_the_audience_of_entra_is_a_guid() -> None:
    [fault] = faults("api://pgjit")
    assert "must be a GUID" in fault


def test_the_audience_of_another_issuer_is_any_other_text() -> None:
    oidc = IdentitySection(provider="oidc", issuer="https://login.example", audience="pgjit")
    assert faults("pgjit-api", oidc) == []
    assert len(faults("PGJIT", oidc)) == 1


def test_the_api_has_the_issuers_of_the_proxy_and_its_own_audience() -> None:
    section = identity_for_api(ENTRA, OTHER)
    assert (section.tenant, section.audience, section.app_id_uri) == (ENTRA.tenant, OTHER, ())


def test_groups_are_written_as_tokens_write_them_and_one_is_a_list_of_one() -> None:
    roles = HttpRolesSection.model_validate({"admin": OTHER.upper(), "auditor": ["people"]})
    assert (roles.admin, roles.auditor, set(map(str, roles.groups))) == ((OTHER,), ("people",), {OTHER, "people"})


def test_a_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        HttpRolesSection.model_validate({"owner": [OTHER]})


def test_a_console_of_another_issuer_needs_a_client_of_its_own() -> None:
    oidc = IdentitySection(provider="oidc", issuer="https://login.example", audience="pgjit")
    for client, count in (("pgjit-api", 1), ("pgjit-console", 0)):
        document = Document(Path("pgjit.yaml"), b"")
        console = ConsoleSection(url="https://console.test", client_id=client)
        check_http_api(document, HttpApiSection(audience="pgjit-api", console=console), oidc)
        assert len(document.faults) == count
