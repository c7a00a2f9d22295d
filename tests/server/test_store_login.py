"""The section of the store: which URLs are accepted, what its faults are called, how TLS is verified."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from pgjit.document import Document
from pgjit.server.store_login import StoreSection, store_target, store_tls
from pgjit.server.target import Host, SslMode, Target

URL = "postgresql://pgjit@db.internal/pgjit"


def _target(tmp_path: Path, url: str) -> tuple[Target, list[str]]:
    file = tmp_path / "pgjit.yaml"
    file.write_text(f"store: {{kind: postgres, url: '{url}'}}\n")
    document = Document.read(file)
    target = store_target(document, tmp_path, StoreSection(kind="postgres", url=url))
    assert target is not None
    return target, document.faults


@pytest.mark.parametrize(
    ("url", "user", "hosts", "database"),
    [
        (URL, "pgjit", (Host("db.internal"),), "pgjit"),
        ("postgres://a%40b@h:6000/d%20b", "a@b", (Host("h", 6000),), "d b"),
        ("postgresql://u@a,b:5433,[::1]:7,[fe80::1]/d", "u",
         (Host("a"), Host("b", 5433), Host("::1", 7), Host("fe80::1")), "d"),
        ("postgresql://u@/d?host=/run/postgresql", "u", (Host("/run/postgresql"),), "d"),
        ("postgresql://u@/d?host=/run/pg&port=6000", "u", (Host("/run/pg", 6000),), "d"),
    ],
)  # fmt: skip
def test_a_url_names_servers_a_role_and_a_database(
    tmp_path: Path, url: str, user: str, hosts: tuple[Host, ...], database: str
) -> None:
    target, faults = _target(tmp_path, url)
    assert (target.user, target.hosts, target.database, faults) == (user, hosts, database, [])
    assert target.sslmode is SslMode.VERIFY_FULL


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgresql://pgjit:geheim@h/d", "`url` holds a password: give it in `password`"),
        ("postgresql://pgjit:@h/d", "`url` holds a password"),
        ("mysql://u@h/d", "`url` begins with `mysql`, not with `postgresql`"),
        ("sqlite:////x", "`url` begins with `sqlite`"),
        ("", "`url` begins with ``"),
        ("postgresql://u@h/d?password=geheim", "`url` has the parameter `password`"),
        ("postgresql://u@h/d?sslmode=require&sslmode=disable", "`url` has a parameter twice"),
        ("postgresql://u@h/d?sslmode=prefer", "`url` has an `sslmode` that is none of disable, require"),
        ("postgresql://u@h/d?sslcert=x", "`url` must have both of `sslcert` and `sslkey`"),
        ("postgresql://u@h/d?connect_timeout=0", "`url` has a `connect_timeout` that is not 1 to 60 seconds"),
        ("postgresql://u@h/d?x", "`url` cannot be read"),
        ("postgresql://h/d", "`url` names no user"),
        ("postgresql://u@/d", "`url` names no host"),
        ("postgresql://u@h,/d", "`url` names no host"),
        ("postgresql://u@h", "`url` must name one database after the host"),
        ("postgresql://u@h/a/b", "`url` must name one database after the host"),
        ("postgresql://u@h:0/d", "`url` cannot be read: `0` is not a port"),
        ("postgresql://u@h:99999/d", "`url` cannot be read: `99999` is not a port"),
        ("postgresql://u@h/d?host=/run", "`url` cannot be read: `host` is for the folder of a Unix socket"),
        ("postgresql://u@h/d?port=5", "`url` cannot be read: `port` goes with `host`"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_fault_without_its_password(url: str, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StoreSection(kind="postgres", url=url)
    [error] = refused.value.errors(include_input=False)
    assert fault in error["msg"]
    assert "geheim" not in error["msg"]


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"kind": "postgres"}, "`kind: postgres` needs `url`, such as"),
        ({"kind": "postgres", "url": URL, "path": "x"}, "`path` goes with `kind: sqlite`"),
        ({"url": URL}, "`url` goes with `kind: postgres`"),
        ({"strict": True}, "`strict` goes with `kind: postgres`"),
        ({"password": {"env": "X"}}, "`password` goes with `kind: postgres`"),
    ],
)
def test_keys_of_the_other_kind_are_a_fault(section: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        StoreSection.model_validate(section)


def test_files_that_are_not_there_are_faults(tmp_path: Path) -> None:
    _, faults = _target(tmp_path, f"{URL}?sslrootcert=ca.crt")
    assert len(faults) == 1
    assert f"`sslrootcert`: there is no file `{tmp_path}/ca.crt`" in faults[0]


@pytest.mark.parametrize(
    ("query", "verify", "name"),
    [
        ("", ssl.CERT_REQUIRED, True),
        ("?sslmode=verify-ca", ssl.CERT_REQUIRED, False),
        ("?sslmode=require", ssl.CERT_NONE, False),
    ],
)
def test_tls_is_verified_as_for_connections(tmp_path: Path, query: str, verify: ssl.VerifyMode, name: bool) -> None:
    context = store_tls(_target(tmp_path, URL + query)[0])
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verify, name)


def test_there_is_no_tls_on_a_unix_socket_or_where_it_is_disabled(tmp_path: Path) -> None:
    for url in (f"{URL}?sslmode=disable", "postgresql://u@/d?host=/run/postgresql"):
        assert store_tls(_target(tmp_path, url)[0]) is None
