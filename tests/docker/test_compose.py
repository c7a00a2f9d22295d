"""The trial set-up: Docker Compose itself reads it, for which it needs no engine, and what it names is there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.run.processes import finish
from tests.run.programs import need

DOCKER = Path(__file__).parents[2] / "docker"
_COMPOSE = Path(sys.executable).parent / "docker-compose"
_OURS = {"emulator", "upgrade", "pgjit-1", "pgjit-2", "balancer"}


def _text(name: str) -> str:
    return (DOCKER / name).read_text("utf-8")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, as Docker Compose reads them. It refuses keys that its schema does not have."""
    done = finish(_COMPOSE, "--file", str(DOCKER / "compose.yaml"), "config", "--format", "json", seconds=60)
    assert done.status == 0, done.err
    return dict(json.loads(done.out)["services"])


@pytest.mark.live
def test_what_runs_for_long_cannot_write_to_its_image_or_get_rights(services: dict[str, Any]) -> None:
    assert services.keys() == _OURS | {"setup", "postgres", "store"}
    for name in _OURS:
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, name


@pytest.mark.live
def test_files_that_are_mounted_exist_and_ports_are_this_machines_alone(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    files = {mount["source"] for mount in mounts if mount["type"] == "bind"}
    assert {file for file in files if not Path(file).exists()} == set()
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", [])} == {"127.0.0.1"}


@pytest.mark.live
def test_there_are_two_nodes_with_names_and_disks_of_their_own(services: dict[str, Any]) -> None:
    nodes = [services["pgjit-1"], services["pgjit-2"]]
    assert [node["hostname"] for node in nodes] == ["pgjit-1", "pgjit-2"]
    disks = [mount["source"] for node in nodes for mount in node["volumes"] if mount["target"] == "/var/lib/pgjit"]
    assert len(disks) == len(set(disks)) == 2
    assert all(node["depends_on"]["upgrade"]["condition"] == "service_completed_successfully" for node in nodes)
    assert yaml.safe_load(_text("pgjit.yaml"))["store"]["kind"] == "postgres"


@pytest.mark.live
def test_the_nodes_believe_the_balancer_alone(services: dict[str, Any]) -> None:
    [believed] = {yaml.safe_load(_text("pgjit.yaml"))["listen"]["proxy_protocol"]["from"]}
    assert services["balancer"]["networks"]["default"]["ipv4_address"] == believed


def test_every_secret_that_is_read_is_made() -> None:
    readers = "pgjit.yaml", "compose.yaml", "init-store.sh", "init-roles.sh"
    read = {secret for name in readers for secret in re.findall(r"/secrets/[a-z/.-]+", _text(name))}
    script = _text("setup.sh")
    [logins] = re.findall(r"for login in ([a-z ]+); do", script)
    made = {f"/secrets/{place}/{login}-password" for login in logins.split() for place in ("server", "proxy")}
    made |= set(re.findall(r">(/secrets/proxy/console-secret)", script))
    made |= {f"/secrets/{place}/tls.{kind}" for place in ("server", "proxy") for kind in ("crt", "key")}
    made |= {"/secrets/ca.crt", "/secrets/server/superuser-password"}
    assert all(f"certificate {place} " in script for place in ("server", "proxy"))
    assert read - made == set()


def test_the_balancer_knows_the_nodes_and_asks_whether_they_are_ready() -> None:
    configuration = _text("haproxy.cfg")
    assert re.findall(r"^    server (\S+) (\S+)", configuration, re.MULTILINE) == [
        ("pgjit-1", "pgjit-1:6432"),
        ("pgjit-2", "pgjit-2:6432"),
        ("pgjit-1", "pgjit-1:8432"),
        ("pgjit-2", "pgjit-2:8432"),
    ]
    assert configuration.count("option httpchk GET /readyz") == 2
    assert re.findall(r"^    default-server (send-proxy-v2)? ?check port 9432", configuration, re.MULTILINE) == [
        "send-proxy-v2",
        "",
    ]


@pytest.mark.live
def test_a_browser_reaches_the_console_and_the_sign_in_page_at_the_addresses_that_it_is_sent_to(
    services: dict[str, Any],
) -> None:
    console = yaml.safe_load(_text("pgjit.yaml"))["api"]["console"]
    emulator = yaml.safe_load(_text("emulator.yaml"))
    published = {
        f"localhost:{port['published']}" for each in ("balancer", "emulator") for port in services[each]["ports"]
    }
    for url in (console["url"], emulator["browser_url"]):
        assert url.partition("://")[2] in published
    [client] = [each for each in emulator["principals"] if each.get("client_id") == console["client_id"]]
    assert client["redirect_uris"] == [f"{console['url']}/signed-in"]
    assert f"printf {client['secret']} >{console['client_secret']['file']}\n" in _text("setup.sh")
    assert yaml.safe_load(_text("pgjit.yaml"))["api"]["audience"] in emulator["api"]["others"]


@pytest.mark.foreign
@pytest.mark.live
def test_haproxy_accepts_its_configuration() -> None:
    [haproxy] = need("haproxy")
    done = finish(haproxy, "-c", "-f", str(DOCKER / "haproxy.cfg"), seconds=60)
    assert done.status == 0, done.err
