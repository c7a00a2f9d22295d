"""What a policy asks of identities: how it is written, and what it means for a token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.identity.identity import Credential, GroupId, IdentityKind
from pgjit.policy.identity_terms import IdentityTerms, unmet
from pgjit.policy.load import Policies, load_policies
from tests.fakes.both_ends import CONTEXT

GROUP = GroupId("5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11")
TEXT = """\
policy: reader
connection: prod-replica
{whom}
grant: on-request
ttl: 30m
record: true
{more}
statements: {{access: read-only}}
"""


def loaded(folder: Path, more: str = "", whom: str = f"group: {GROUP}") -> tuple[Policies, list[str]]:
    path = folder / "reader.yaml"
    path.write_text(TEXT.format(whom=whom, more=more))
    policies, faults = load_policies(folder)
    return policies, [fault.removeprefix(f"{path}:") for fault in faults]


def terms(folder: Path, more: str = "", whom: str = f"group: {GROUP}") -> IdentityTerms:
    policies, faults = loaded(folder, more, whom)
    assert faults == []
    return policies["reader"].identity


WRITTEN: dict[str, IdentityTerms] = {
    "": IdentityTerms(),
    "bind_to_token: true": IdentityTerms(bind_to_token=True),
    "bind_to_source: true": IdentityTerms(bind_to_source=True),
    "single_use_token: true": IdentityTerms(single_use_token=True),
    "require: {credential: certificate}": IdentityTerms(credential=Credential.CERTIFICATE),
    "require: {credential: secret}": IdentityTerms(credential=Credential.SECRET),
    "require: {principal: [app, agent-user]}": IdentityTerms(
        principals=frozenset({IdentityKind.APP, IdentityKind.AGENT_USER})
    ),
    "require: {acrs: [c1, c2]}": IdentityTerms(acrs=frozenset({"c1", "c2"})),
}


@pytest.mark.parametrize("more", WRITTEN)
def test_each_key_is_a_term(tmp_path: Path, more: str) -> None:
    assert terms(tmp_path, more) == WRITTEN[more]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("require: {credential: password}", "`require.credential` must be 'none', 'secret' or 'certificate'"),
        ("require: {credential: none}", "`require.credential` must be certificate or secret: a public client proves"),
        ("require: {principal: [robot]}", "must be 'app', 'user', 'agent' or 'agent-user'"),
        ("require: {principal: []}", "`require.principal` "),
        ("require: {acrs: []}", "`require.acrs` "),
        ("require: {acrs: [c 1]}", "must be the id of an authentication context, such as c1"),
        ("require: {}", "must name a credential, principals or authentication contexts"),
        ("require: {mfa: true}", "`require.mfa` is not a known key"),
        ("bind_to_token: 1", "`bind_to_token` must be a valid boolean"),
        ("bind_to_source: yes please", "`bind_to_source` must be a valid boolean"),
        ("single_use_token: once", "`single_use_token` must be a valid boolean"),
        ("bind_to_tokens: true", "did you mean `bind_to_token`?"),
        ("role: Database.Read", "must have `group`, or `role` instead of it"),
    ],
)
def test_what_is_not_known_is_a_fault_at_its_place(tmp_path: Path, more: str, said: str) -> None:
    policies, faults = loaded(tmp_path, more)
    assert not policies
    assert len(faults) == 1
    assert said in faults[0]


def test_a_policy_is_for_a_group_or_a_role(tmp_path: Path) -> None:
    policies, faults = loaded(tmp_path, whom="role: Database.Read")
    assert faults == []
    assert (policies["reader"].group, policies["reader"].identity.role) == (None, "Database.Read")
    holder = replace(CONTEXT.identity, groups=frozenset(), roles=frozenset({"Database.Read"}))
    assert [policy.name for policy in policies.for_connection("prod-replica", holder)] == ["reader"]
    other = replace(holder, roles=frozenset({"Database"}), groups=frozenset({GroupId("Database.Read")}))
    assert policies.for_connection("prod-replica", other) == ()
    assert policies.groups == frozenset()
    for whom, said in (("", "must have `group`, or `role`"), ("role: a b", "must be the value of an app role")):
        _, faults = loaded(tmp_path, whom=whom)
        assert said in faults[0]


def test_a_group_of_another_issuer_is_written_as_its_tokens_have_it(tmp_path: Path) -> None:
    policies, faults = loaded(tmp_path, whom="group: {claim: DB Readers, name: those who read}")
    assert faults == []
    assert policies.groups == {GroupId("DB Readers")}
    _, faults = loaded(tmp_path, whom=f"group: {{id: {GROUP}, claim: x}}")
    assert "must have `id`, or `claim` where the provider is not Entra" in faults[0]
    _, faults = loaded(tmp_path, whom="group: DB Readers")
    assert "must be the group's object id, a GUID" in faults[0]


def test_two_policies_of_one_role_for_one_connection_are_a_fault(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = TEXT.format(whom="role: Database.Read", more="").replace("policy: reader", f"policy: {name}")
        (tmp_path / f"{name}.yaml").write_text(text)
    _, faults = load_policies(tmp_path)
    assert [fault.split(": ", 1)[1] for fault in faults] == [
        "policy `one` opens connection `prod-replica` to the same role already"
    ]


APP, USER, AGENT, AGENT_USER = IdentityKind
CERTIFICATE = IdentityTerms(credential=Credential.CERTIFICATE)
SECRET = IdentityTerms(credential=Credential.SECRET)


@pytest.mark.parametrize(
    ("asked", "changes", "met"),
    [
        (IdentityTerms(), {"credential": None}, True),
        (CERTIFICATE, {"credential": Credential.CERTIFICATE}, True),
        (CERTIFICATE, {"credential": Credential.SECRET}, False),
        (CERTIFICATE, {"credential": Credential.NONE}, False),
        (CERTIFICATE, {"credential": None}, False),
        (SECRET, {"credential": Credential.CERTIFICATE}, True),
        (SECRET, {"credential": Credential.SECRET}, True),
        (SECRET, {"credential": Credential.NONE}, False),
        (SECRET, {"credential": None}, False),
        (IdentityTerms(principals=frozenset({APP})), {"kind": APP}, True),
        (IdentityTerms(principals=frozenset({APP})), {"kind": AGENT}, False),
        (IdentityTerms(principals=frozenset({USER})), {"kind": USER}, True),
        (IdentityTerms(principals=frozenset({USER})), {"kind": USER, "on_behalf_of": "x"}, False),
        (IdentityTerms(principals=frozenset({AGENT})), {"kind": USER, "on_behalf_of": "x"}, False),
        (IdentityTerms(principals=frozenset({USER, AGENT})), {"kind": USER, "on_behalf_of": "x"}, True),
        (IdentityTerms(principals=frozenset({USER, AGENT})), {"kind": AGENT_USER}, False),
        (IdentityTerms(acrs=frozenset({"c1"})), {"acrs": frozenset({"c1", "c3"})}, True),
        (IdentityTerms(acrs=frozenset({"c1", "c2"})), {"acrs": frozenset({"c1"})}, False),
        (IdentityTerms(acrs=frozenset({"c1"})), {}, False),
    ],
)
def test_what_is_required_has_to_be_shown(asked: IdentityTerms, changes: dict[str, object], met: bool) -> None:
    identity = replace(CONTEXT.identity, **{"kind": APP, **changes})  # type: ignore[arg-type]
    assert (unmet(asked, identity) is None) is met
