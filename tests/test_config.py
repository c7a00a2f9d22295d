"""The connections of a configuration: what is read, and every fault at its place."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pgjit.config import load_config
from pgjit.demo.certificates import make_certificates
from pgjit.errors import InvalidFile
from pgjit.grants.stores import DATABASES
from pgjit.identity import azure_token
from pgjit.server.credential import FixedSecret, FromFile, RenewedSecret
from pgjit.server.store_login import StoreSection
from pgjit.server.target import ChannelBinding, Host, Keepalive, SessionAttrs, SslMode, Target

POLICIES = Path(__file__).parents[1] / "policies"
TEXT = """\
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
policies: {policies}
connections:
  prod-replica: {{database: shop, user: ann, {keys}}}
  prod-primary: {{database: shop, user: ann, host: b}}
"""

READER = """\
policy: reader
connection: shop_data
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements: {access: read-only}
"""


def _load(folder: Path, keys: str) -> Target:
    make_certificates(folder)
    (folder / "secret").write_text("hunter2\n")
    path = folder / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys=keys))
    return load_config(path).targets["prod-replica"]


def test_a_connection_with_nothing_but_what_is_needed_is_the_strict_one(tmp_path: Path) -> None:
    target = _load(tmp_path, "host: db.internal")
    assert target == Target(name="prod-replica", hosts=(Host("db.internal", 5432),), database="shop", user="ann")
    assert (target.sslmode, target.channel_binding) == (SslMode.VERIFY_FULL, ChannelBinding.PREFER)


@pytest.mark.parametrize(
    ("keys", "hosts"),
    [
        ("host: a", (Host("a", 5432),)),
        ("host: [a]", (Host("a", 5432),)),
        ("host: a, port: 5433", (Host("a", 5433),)),
        ("host: [a, /run/pg], port: 5433", (Host("a", 5433), Host("/run/pg", 5433))),
        ("host: [a, b], port: [1, 2]", (Host("a", 1), Host("b", 2))),
    ],
)
def test_hosts_are_one_or_several(tmp_path: Path, keys: str, hosts: tuple[Host, ...]) -> None:
    assert _load(tmp_path, keys).hosts == hosts


def test_every_key_reaches_the_login(tmp_path: Path) -> None:
    target = _load(
        tmp_path,
        "host: db, sslmode: verify-ca, sslrootcert: ca.crt, sslcert: server.crt, sslkey: server.key, "
        "channel_binding: require, target_session_attrs: prefer-standby, connect_timeout: 2.5, keepalives_idle: 1, "
        "keepalives_interval: 2, keepalives_count: 3, tcp_user_timeout: 4, search_path: app",
    )
    folder = tmp_path.resolve()
    assert target == Target(
        name="prod-replica",
        hosts=(Host("db"),),
        database="shop",
        user="ann",
        sslmode=SslMode.VERIFY_CA,
        sslrootcert=str(folder / "ca.crt"),
        sslcert=str(folder / "server.crt"),
        sslkey=str(folder / "server.key"),
        channel_binding=ChannelBinding.REQUIRE,
        session_attrs=SessionAttrs.PREFER_STANDBY,
        connect_timeout=2.5,
        keepalive=Keepalive(1, 2, 3, 4),
        search_path="app",
    )


@pytest.mark.live
async def test_secrets_come_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGJIT_TEST_SECRET", "from the environment")
    given = _load(tmp_path, "host: a, password: {env: PGJIT_TEST_SECRET}").credential
    assert isinstance(given, FixedSecret)
    assert await given.secret() == "from the environment"
    monkeypatch.setenv("PGJIT_TEST_SECRET", "\udcff")
    with pytest.raises(InvalidFile, match="1 fault"):
        _load(tmp_path, "host: a, password: {env: PGJIT_TEST_SECRET}")
    file = _load(tmp_path, "host: a, password: {file: secret}").credential
    assert isinstance(file, FromFile)
    assert await file.secret() == "hunter2"
    command = f"[{sys.executable}, -c, 'print(\"from a command\")']"
    ran = _load(tmp_path, f"host: a, password: {{command: {command}, timeout: 5, refresh: 0}}").credential
    assert isinstance(ran, RenewedSecret)
    assert await ran.secret() == "from a command"


def test_a_managed_identity_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_token, "installed", lambda: True)
    keys = "host: a, password: {azure: {client_id: me}}"
    assert isinstance(_load(tmp_path, keys).credential, RenewedSecret)
    monkeypatch.setattr(azure_token, "installed", lambda: False)
    with pytest.raises(InvalidFile, match="1 fault") as told:
        _load(tmp_path, keys)
    assert told.value.faults[0].endswith(
        ":5:65: `connections.prod-replica.password.azure` needs azure-identity: pip install 'pgjit[azure]'"
    )


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("port: 1", "`connections.prod-replica.host` is missing"),
        ("host: []", "`connections.prod-replica.host` must have at least 1 entry"),
        ("host: [a, '']", "`connections.prod-replica.host.1` string should have at least 1 character"),
        ("host: [a, b], port: [1, 2, 3]", "`port` must be one number, or as many as there are hosts"),
        ("host: a, port: [1, 2]", "`port` must be one number, or as many as there are hosts"),
        ("host: a, port: 0", "`connections.prod-replica.port.0` must be greater than or equal to 1"),
        ("host: a, sslmode: prefer", "`connections.prod-replica.sslmode` must be 'disable', 'require', 'verify-ca'"),
        ("host: a, sslcert: server.crt", "`sslcert` and `sslkey` go together"),
        ("host: a, sslrootcert: gone.crt", "gone.crt` cannot be read: No such file or directory"),
        ("host: a, sslmode: disable, channel_binding: require", "`channel_binding: require` needs TLS"),
        ("host: /run/pg, channel_binding: require", "`channel_binding: require` needs TLS"),
        ("host: a, password: {}", "give one of `env`, `file`, `command` and `azure`"),
        ("host: a, password: {env: A, file: b}", "give one of `env`, `file`, `command` and `azure`"),
        ("host: a, password: {env: PGJIT_NOT_SET}", "environment variable `PGJIT_NOT_SET` is not set"),
        ("host: a, password: {file: gone}", "gone` cannot be read: No such file or directory"),
        ("host: a, password: {file: server.crt, timeout: 3}", "`timeout` and `refresh` go with `command`"),
        (
            "host: a, password: {command: []}",
            "`connections.prod-replica.password.command` must have at least 1 entry",
        ),
        (
            "host: a, password: {command: /bin/ls}",
            "`connections.prod-replica.password.command` must be a list",
        ),
        ("host: a, password: {command: [/no/such]}", "`/no/such` is not a program that can be run"),
        ("host: a, passwort: {}", "is not a known key; did you mean `password`?"),
    ],
)
def test_faults_are_told_at_their_place(tmp_path: Path, keys: str, fault: str) -> None:
    with pytest.raises(InvalidFile) as told:
        _load(tmp_path, keys)
    (only,) = told.value.faults
    assert fault in only
    assert f"{tmp_path / 'pgjit.yaml'}:5:" in only
    assert "hunter2" not in only


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("store: {kind: mysql}", "8:9: `store.kind` must be 'sqlite' or 'postgres'"),
        ("journal: {durability: never}", "8:11: `journal.durability` must be 'written' or 'synced'"),
    ],
)
def test_a_kind_that_cannot_be_opened_is_a_fault(tmp_path: Path, section: str, fault: str) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys="host: a") + "\n" + section + "\n")
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    assert refused.value.faults == [f"{path}:{fault}"]


@pytest.mark.parametrize(
    ("key", "now"),
    [("path: journal.jsonl", "`path` is now `folder`"), ("sync: always", "`sync` is now `durability: written`")],
)
def test_a_key_of_the_journal_that_was_renamed_names_the_new_one(tmp_path: Path, key: str, now: str) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys="host: a") + f"\njournal: {{{key}}}\n")
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    (fault,) = refused.value.faults
    assert fault.startswith(f"{path}:8:")
    assert now in fault


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("keep_days: 3", ": windows and cooldowns of the policies last up to"),
        ("archive: no-such://x", "8:11: `journal.archive`"),
    ],
)
def test_a_journal_that_could_not_keep_what_it_has_to_is_a_fault(tmp_path: Path, keys: str, fault: str) -> None:
    make_certificates(tmp_path)
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    policy = policies / "break-glass.yaml"
    policy.write_text(policy.read_text().replace("cooldown: 4h", "cooldown: 100h"))
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=policies, keys="host: a") + f"\njournal: {{{keys}}}\n")
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    (only,) = refused.value.faults
    assert fault in only


def test_every_kind_that_the_configuration_knows_can_be_opened() -> None:
    assert get_args(StoreSection.model_fields["kind"].annotation) == tuple(DATABASES)


def test_a_certificate_that_does_not_fit_its_key_is_a_fault(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make_certificates(tmp_path)
    make_certificates(other)
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys="host: a").replace("server.key", "other/server.key"))
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    [fault] = refused.value.faults
    assert fault.startswith(f"{path}:1:7: `tls.certificate` and the key do not go together: ")


def test_a_connection_may_be_named_as_its_database_and_who_does_not_is_warned(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "reader.yaml").write_text(READER)
    path = tmp_path / "pgjit.yaml"
    connections = "connections:\n  shop_data: {database: shop_data, user: a, host: a}\n"
    text = TEXT.format(policies=policies, keys="host: a").partition("connections:")[0]
    path.write_text(text + connections + "  prod_replica: {database: shop, user: a, host: a}\n")
    config = load_config(path)
    assert sorted(config.targets) == ["prod_replica", "shop_data"]
    [warning] = [each for each in config.warnings if "is not named as its database" in each]
    assert warning.startswith(f"{path}:6:3: connection `prod_replica` is not named as its database, `shop`")


@pytest.mark.parametrize("name", ["Shop", "_shop", "1shop", "shop.data", "a" * 64, "shöp", "-shop", '"shop "'])
def test_other_names_of_connections_are_a_fault(tmp_path: Path, name: str) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    text = TEXT.format(policies=POLICIES, keys="host: a").replace("prod-primary", name)
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    assert "lower-case letters, digits" in refused.value.faults[0]


STORE = "store: {kind: postgres, url: postgresql://pgjit@db.internal/pgjit}\n"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("workers: 2\n", "`2` needs a store that several processes can use"),
        ("workers: auto\n", "`auto` needs a store that several processes can use"),
        ("workers: 0\n" + STORE, "workers"),
        ("workers: 65\n" + STORE, "workers"),
        ("workers: many\n" + STORE, "workers"),
        (f"workers: 2\nnode: {'n' * 60}\n" + STORE, "is longer than 59 characters"),
    ],
)
def test_several_workers_need_a_store_on_a_server(tmp_path: Path, keys: str, fault: str) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys="host: a") + keys)
    with pytest.raises(InvalidFile) as refused:
        load_config(path)
    assert any(fault in each for each in refused.value.faults)


def test_a_worker_has_a_name_and_a_journal_of_its_own_below_those_of_the_node(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=POLICIES, keys="host: a") + "node: pg-1\nworkers: 2\n" + STORE)
    config = load_config(path)
    assert (config.workers, config.node, config.journal_folder) == (2, "pg-1", tmp_path / "journal")
    worker = replace(config, worker="pg-1.2")
    assert (worker.node, worker.node_of_workers) == ("pg-1.2", "pg-1")
    assert worker.journal_folder == tmp_path / "journal" / "pg-1.2"
    path.write_text(path.read_text().replace("workers: 2", "workers: auto"))
    assert load_config(path).workers >= 1


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        ("10.0.4.7", ["10.0.4.7/32"]),
        ("[10.0.4.0/28, 'fd00::/64', '::1']", ["10.0.4.0/28", "fd00::/64", "::1/128"]),
        ("10.0.4.7/28", "`10.0.4.7/28` is no address and no network: 10.0.4.7/28 has host bits set"),
        ("balancer.internal", "`balancer.internal` is no address and no network"),
        ("[]", "at least 1"),
        ("10", "`10` is no address and no network"),
    ],
)
def test_balancers_are_named_by_address_or_network(tmp_path: Path, given: str, networks: list[str] | str) -> None:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    text = TEXT.format(policies=POLICIES, keys="host: a")
    path.write_text(f"{text}listen: {{proxy_protocol: {{from: {given}}}}}\n")
    if isinstance(networks, str):
        with pytest.raises(InvalidFile) as caught:
            load_config(path)
        assert networks in str(caught.value.detail)
        return
    section = load_config(path).file.listen.proxy_protocol
    assert section is not None
    assert [str(each) for each in section.networks] == networks
