"""The login to a PostgreSQL store as the configuration gives it: TLS that is verified, a secret that is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.app.from_config import postgres_login
from pgjit.document import Document
from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.postgres_login import PostgresLogin
from pgjit.grants.stores.postgres_upgrade import check_store
from pgjit.server.store_login import StoreSection, store_target
from tests.fakes.certificate_authority import Authority
from tests.fakes.store_server import StoreServer
from tests.fakes.tls_front import TlsFront


def _login(folder: Path, url: str, password: dict[str, object] | None = None) -> PostgresLogin:
    file = folder / "pgjit.yaml"
    file.write_text("store: {}\n")
    document = Document.read(file)
    section = StoreSection.model_validate({"kind": "postgres", "url": url, "password": password})
    target = store_target(document, folder, section)
    assert document.faults == []
    assert target is not None
    return postgres_login(target)


async def test_the_servers_certificate_is_verified(store_server: StoreServer, tmp_path: Path) -> None:
    good, other = Authority(tmp_path), Authority(tmp_path, "others")
    pair = good.server("localhost")
    url = "postgresql://postgres@{host}:{port}/pgjit_store?sslmode={mode}&sslrootcert={root}"
    cases = {
        ("localhost", "verify-full", good): None,
        ("127.0.0.1", "verify-ca", good): None,
        ("127.0.0.1", "verify-full", good): "IP address mismatch",
        ("localhost", "verify-full", other): "certificate verify failed",
        ("localhost", "require", other): "certificate verify failed",  # as in libpq: with a CA it is checked
    }
    failed = {}
    async with TlsFront(store_server.login().hosts[0], str(pair.certificate), str(pair.key)) as front:
        for (host, mode, authority), fault in cases.items():
            login = _login(tmp_path, url.format(host=host, port=front.port, mode=mode, root=authority.root))
            try:
                await check_store(login)
                result = ""
            except ServerUnavailable as refused:
                result = str(refused.detail)
            if (fault is None) != (result == "") or (fault or "") not in result:
                failed[host, mode, authority.root.name] = result
    assert failed == {}


async def test_a_server_without_tls_is_refused(store_server: StoreServer, tmp_path: Path) -> None:
    async with TlsFront.without_tls() as front:
        with pytest.raises(ServerUnavailable) as refused:
            await check_store(_login(tmp_path, f"postgresql://postgres@localhost:{front.port}/pgjit_store"))
    assert "rejected SSL upgrade" in str(refused.value.detail)


async def test_the_secret_is_read_for_each_login(store_server: StoreServer, tmp_path: Path) -> None:
    url = store_server.url().replace("postgres@", "pgjit_agent@")
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    login = _login(tmp_path, url, {"file": "secret"})
    details = []
    for password in ("wrong", store_server.agent_password, None):
        secret.unlink() if password is None else secret.write_text(password)
        with pytest.raises(ServerUnavailable) as refused:
            await check_store(login)
        details.append(str(refused.value.detail))
    assert details[0] == 'password authentication failed for user "pgjit_agent"'
    assert details[1].startswith("The role of pgjit lacks rights in pgjit_store")
    assert details[2].startswith("the password for the store is not available: file `")
