"""The `identity` section: which keys go together, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates
from pgjit.errors import InvalidFile
from pgjit.identity.graph import graph_from_section
from pgjit.identity.membership_rechecks import GroupSource
from pgjit.identity.providers import PROVIDERS
from tests.e2e.entra_worlds import policy_text
from tests.fakes.certificate import certificate
from tests.fakes.entra import Key

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AUDIENCE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ENTRA = f"tenant: {TENANT}, audience: {AUDIENCE}"
GRAPH = f"client_id: {AUDIENCE}"
TEXT = """\
tls: {{certificate: server.crt, key: server.key}}
policies: policies
connections: {{prod-replica: {{database: shop, user: ann, host: db}}}}
identity: {{{keys}}}
"""


def load(folder: Path, keys: str) -> Config:
    make_certificates(folder)
    (folder / "secret").write_text("hunter2\n")
    (folder / "policies").mkdir()
    (folder / "policies" / "reader.yaml").write_text(policy_text())
    path = folder / "pgjit.yaml"
    path.write_text(TEXT.format(keys=keys))
    return load_config(path)


GOOD: dict[str, tuple[str, GroupSource]] = {
    "one tenant": (ENTRA, GroupSource.CLAIM),
    "several tenants": (f"tenant: [{TENANT}, {AUDIENCE}], audience: {AUDIENCE}", GroupSource.CLAIM),
    "version 1": (f"{ENTRA}, token_versions: [v1, v2], app_id_uri: api://shop", GroupSource.CLAIM),
    "another cloud": (f"{ENTRA}, authority: https://login.microsoftonline.us", GroupSource.CLAIM),
    "Graph": (f"{ENTRA}, graph: {{{GRAPH}, secret: {{file: secret}}}}", GroupSource.GRAPH),
    "Graph by a certificate": (
        f"{ENTRA}, graph: {{{GRAPH}, certificate: rsa.crt, key: rsa.key}}",
        GroupSource.GRAPH,
    ),
    "Graph by a token of the platform": (
        f"{ENTRA}, graph: {{{GRAPH}, federated_token: secret}}",
        GroupSource.GRAPH,
    ),
    "Graph as the machine": (f"{ENTRA}, graph: {{managed_identity: true}}", GroupSource.GRAPH),
    "Graph as one of the machine's": (
        f"{ENTRA}, graph: {{{GRAPH}, managed_identity: true}}",
        GroupSource.GRAPH,
    ),
    "the token, then Graph": (
        f"{ENTRA}, groups: claim-then-graph, graph: {{{GRAPH}, secret: {{env: PGJIT_TEST_SECRET}}}}",
        GroupSource.CLAIM_THEN_GRAPH,
    ),
    "another issuer": ("provider: oidc, issuer: https://login.example, audience: pgjit", GroupSource.CLAIM),
}


@pytest.mark.parametrize("name", GOOD)
async def test_what_goes_together_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PGJIT_TEST_SECRET", "hunter2")
    _rsa_certificate(tmp_path)
    keys, source = GOOD[name]
    section = load(tmp_path, keys).file.identity
    assert section.group_source is source
    provider = PROVIDERS[section.provider](section, 4096)
    directory = graph_from_section(section, tmp_path)
    assert (directory is None) == (source is GroupSource.CLAIM)
    await provider.close()
    if directory is not None:
        await directory.close()


def _rsa_certificate(folder: Path) -> None:
    for path, name in zip(certificate(folder, Key().private, datetime.now(UTC)), ("rsa.crt", "rsa.key"), strict=True):
        path.rename(folder / name)


SECRET = "secret: {file: secret}"
FAULTS = {
    f"audience: {AUDIENCE}": "`tenant` is missing",
    f"tenant: contoso.example, audience: {AUDIENCE}": "`identity.tenant.0` must be a GUID",
    f"tenant: {TENANT}, audience: api://shop": "`audience` must be a GUID",
    f"tenant: {TENANT}": "`identity.audience` is missing",
    f"{ENTRA}, token_versions: [v3]": "`identity.token_versions.0` must be 'v1' or 'v2'",
    f"{ENTRA}, token_versions: []": "`token_versions` must name at least one",
    f"{ENTRA}, app_id_uri: api://shop": "`app_id_uri` goes with `v1` among `token_versions`",
    f"{ENTRA}, groups: graph": "`groups: graph` needs `graph`",
    f"{ENTRA}, groups: claim-then-graph": "`groups: claim-then-graph` needs `graph`",
    f"{ENTRA}, leeway: 61": "`identity.leeway` must be less than or equal to 60",
    f"{ENTRA}, max_token_age: 86401": "`identity.max_token_age` must be less than or equal to 86400",
    f"{ENTRA}, issuer: https://login.example": "`issuer` does not go with provider `entra`",
    "provider: oidc, audience: pgjit": "`issuer` is missing",
    f"provider: oidc, audience: pgjit, issuer: https://x.example, tenant: {TENANT}": "`tenant` does not go with",
    f"{ENTRA}, graph: {{{SECRET}}}": "`client_id` is missing",
    f"{ENTRA}, graph: {{federated_token: secret}}": "`client_id` is missing",
    f"{ENTRA}, graph: {{{GRAPH}, federated_token: gone}}": "gone` cannot be read: No such file or directory",
    f"{ENTRA}, graph: {{{GRAPH}, {SECRET}, federated_token: secret}}": "give one of `secret`, `certificate`,",
    f"{ENTRA}, graph: {{{GRAPH}, {SECRET}, managed_identity: true}}": "give one of `secret`, `certificate`,",
    f"{ENTRA}, graph: {{{GRAPH}, managed_identity: false}}": "give one of `secret`, `certificate`,",
    f"tenant: [{TENANT}, {AUDIENCE}], audience: {AUDIENCE}, graph: {{managed_identity: true}}": "is of one tenant",
    f"{ENTRA}, graph: {{client_id: me, {SECRET}}}": "`identity.graph.client_id` must be a GUID",
    f"{ENTRA}, graph: {{{GRAPH}}}": "give one of `secret`, `certificate`,",
    f"{ENTRA}, graph: {{{GRAPH}, {SECRET}, certificate: server.crt, key: server.key}}": "give one of `secret`, ",
    f"{ENTRA}, graph: {{{GRAPH}, certificate: server.crt}}": "`certificate` and `key` go together",
    f"{ENTRA}, graph: {{{GRAPH}, secret: {{}}}}": "give one of `env` and `file`",
    f"{ENTRA}, graph: {{{GRAPH}, secret: {{file: gone}}}}": "gone` cannot be read: No such file or directory",
    f"{ENTRA}, graph: {{{GRAPH}, secret: {{env: PGJIT_NOT_SET}}}}": "variable `PGJIT_NOT_SET` is not set",
    f"{ENTRA}, graph: {{{GRAPH}, {SECRET}, recheck: 0.5}}": "must be greater than or equal to 1",
    f"{ENTRA}, graph: {{{GRAPH}, {SECRET}, recheck: 60, max_stale: 59}}": "`max_stale` must not be shorter",
    f"{ENTRA}, tennant: x": "is not a known key; did you mean `tenant`?",
}


@pytest.mark.parametrize("keys", FAULTS)
def test_what_does_not_go_together_is_a_fault_at_its_place(tmp_path: Path, keys: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        load(tmp_path, keys)
    (only,) = refused.value.faults
    assert FAULTS[keys] in only
    assert f"{tmp_path / 'pgjit.yaml'}:4:" in only
    assert "hunter2" not in only


def test_a_certificate_without_its_key_is_a_fault_at_the_start(tmp_path: Path) -> None:
    _rsa_certificate(tmp_path)
    section = load(tmp_path, f"{ENTRA}, graph: {{{GRAPH}, certificate: rsa.crt, key: server.key}}").file.identity
    with pytest.raises(InvalidFile) as refused:
        graph_from_section(section, tmp_path)
    assert refused.value.faults[0].startswith("`graph.certificate`: the key is not")


WARNED: dict[str, tuple[str, str, list[str]]] = {
    "the token's groups": (ENTRA, "", ["`identity.groups` is `claim`"]),
    "Graph's": (f"{ENTRA}, graph: {{{GRAPH}, {SECRET}}}", "", []),
    "the token's groups, and policies for roles alone": (ENTRA, "role: Database.Read", []),
    "a group by a name": (
        f"{ENTRA}, graph: {{{GRAPH}, {SECRET}}}", "group: {claim: admins}",
        ["policy `reader` is for the group `admins`, which is not an object id: it has no members"],
    ),
    "a role without a tenant, where there are several": (
        ENTRA.replace(f"tenant: {TENANT}", f"tenant: [{TENANT}, {AUDIENCE}]"), "role: Database.Read",
        ["policy `reader` names the app role `Database.Read`, which counts in tenant"],
    ),
    "a role, of another issuer": (
        "provider: oidc, issuer: https://login.example, audience: pgjit", "role: Database.Read",
        ["policy `reader` names the app role `Database.Read`: tokens of this provider carry no app roles"],
    ),
    "a group by a name, of another issuer": (
        "provider: oidc, issuer: https://login.example, audience: pgjit", "group: {claim: admins}", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_what_is_hardly_meant_gives_a_warning(tmp_path: Path, name: str) -> None:
    keys, whom, expected = WARNED[name]
    config = load(tmp_path, keys)
    if whom:
        (tmp_path / "policies" / "reader.yaml").write_text(policy_text(whom=whom))
        config = load_config(tmp_path / "pgjit.yaml")
    warnings = [each for each in config.warnings if "is not named as its database" not in each]
    assert len(warnings) == len(expected)
    assert all(warning.startswith(begin) for warning, begin in zip(warnings, expected, strict=True))
