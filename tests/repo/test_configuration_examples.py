"""Every example configuration in the documents and in docker/ is one: it is loaded, with the files that it names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pgjit.config import ConfigFile, load_config
from pgjit.demo.certificates import make_certificates
from pgjit.demo.emulator.settings import read_settings
from pgjit.policy.language import PolicyFile
from pgjit.policy.suite import SuiteFile

ROOT = Path(__file__).parents[2]
_PATTERNS = "*.md", "docs/*.md", "policies/*.md", "docker/**/*.md"
_DOCUMENTS = sorted(path for pattern in _PATTERNS for path in ROOT.glob(pattern))
_FENCED = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)
_FIRST = re.compile(r"[a-z][a-z_-]*:(?: |$)", re.MULTILINE)
_POLICY = {
    "policy": "reader", "group": "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11", "grant": "on-request", "ttl": "30m",
    "record": True, "statements": {"access": "read-only"},
}  # fmt: skip
_NEEDED: dict[str, Any] = {
    "tls": {"certificate": "tls.crt", "key": "tls.key"},
    "identity": {
        "tenant": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "audience": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    },
    "connections": {"shop": {"host": "db.internal", "database": "shop", "user": "pgjit_agent"}},
}
_PEM = {"certificate", "sslcert", "sslrootcert", "ca", "key", "sslkey"}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Example(NamedTuple):
    place: str  # the document, and the first line
    content: dict[str, Any]


def _blocks(text: str) -> Iterator[str]:
    yield from _FENCED.findall(text)
    for block in _INDENTED.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        # Two examples with a blank line between them are two, if each begins with a key.
        yield from re.split(r"\n\n(?=[a-z])", textwrap.dedent(block).strip("\n"))


def _examples() -> list[Example]:
    found = []
    for path in [*_DOCUMENTS, *ROOT.glob("docker/*.yaml")]:
        text = path.read_text("utf-8")
        for block in [text] if path.suffix == ".yaml" else _blocks(text):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if not lines or not _FIRST.match(lines[0]):
                continue
            found += [Example(f"{path.relative_to(ROOT)}: {lines[0]}", content) for content in _documents(block)]
    return found


def _documents(block: str) -> list[dict[str, Any]]:
    """Its YAML documents that are mappings; none if it is not YAML."""
    try:
        return [each for each in yaml.safe_load_all(block) if isinstance(each, dict)]
    except yaml.YAMLError:
        return []


def _kind(content: dict[str, Any]) -> str:
    if "apiVersion" in content:
        return "kubernetes"
    if "services" in content:
        return "compose"
    if "tests" in content:
        return "suite"
    if content.keys() <= PolicyFile.model_fields.keys():
        return "policy"
    if content.keys() & {"principals", "apps"}:
        return "emulator"
    if content.keys() <= ConfigFile.model_fields.keys():
        return "configuration"
    if all(isinstance(value, dict) and value.keys() & {"host", "control"} for value in content.values()):
        return "connections"
    channel = {"webhook", "slack", "teams", "mail"}
    if all(isinstance(value, dict) and value.keys() & channel for value in content.values()):
        return "channels"
    return "unknown"


EXAMPLES = _examples()


def _of(*kinds: str) -> list[Example]:
    return [each for each in EXAMPLES if _kind(each.content) in kinds]


def _place(example: Example) -> str:
    return example.place


def test_every_example_is_of_a_known_kind() -> None:
    assert [each for each in EXAMPLES if _kind(each.content) == "unknown"] == []
    assert {_kind(each.content) for each in EXAMPLES} >= {"configuration", "connections", "policy", "emulator"}
    assert len(_of("configuration")) > 10


def _made(value: Any, folder: Path, key: str = "") -> Any:
    """The value with its absolute paths inside `folder`, where the files that it names are made."""
    match value:
        case dict():
            return {name: _made(inner, folder, name) for name, inner in value.items()}
        case list() if key == "command":
            program = folder / "program"
            program.touch(mode=0o755)
            return [str(program), *value[1:]]
        case list():
            return [_made(inner, folder, key) for inner in value]
        case str() if key == "url":
            return re.sub(r"(sslrootcert|sslcert|sslkey)=([^&]+)", lambda found: f"{found[1]}=both.pem", value)
        case str() if key in _PEM | {"file", "headers", "federated_token"}:
            path = folder / value.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (folder / "both.pem").read_text() if key in _PEM else "x: y" if key == "headers" else _SECRET
            path.write_text(text)
            return value.lstrip("/")
        case str() if key in {"folder", "path"} and value.startswith("/"):
            return str(folder / value.lstrip("/"))
        case _:
            return value


def _load(content: dict[str, Any], folder: Path) -> None:
    made = make_certificates(folder)
    (folder / "both.pem").write_text(made.certificate.read_text() + made.key.read_text())
    whole = _NEEDED | content
    if "otlp" in str(content.get("journal")):
        whole.setdefault("otlp", {"endpoint": "http://localhost:4318"})
    whole["connections"] = {
        name: _NEEDED["connections"]["shop"] | section for name, section in whole["connections"].items()
    }
    whole = _made(whole, folder) | {"policies": "policies"}
    (folder / "policies").mkdir()
    connection = next(iter(whole["connections"]))
    (folder / "policies" / "reader.yaml").write_text(yaml.safe_dump(_POLICY | {"connection": connection}))
    path = folder / "pgjit.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    load_config(path)


@pytest.mark.parametrize("example", _of("configuration", "connections", "channels"), ids=_place)
def test_an_example_of_a_configuration_is_loaded(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = example.content
    match _kind(content):
        case "connections":
            content = {"connections": content}
        case "channels":
            content = {"notify": {"channels": content}}
    for name in re.findall(r"'env': '(\w+)'", str(content)):
        monkeypatch.setenv(name, "secret")
    _load(content, tmp_path)


@pytest.mark.parametrize("example", _of("policy"), ids=_place)
def test_an_example_of_a_policy_is_one(example: Example) -> None:
    PolicyFile.model_validate(_POLICY | {"connection": "shop"} | example.content)


@pytest.mark.parametrize("example", _of("suite"), ids=_place)
def test_an_example_of_a_suite_is_one(example: Example) -> None:
    SuiteFile.model_validate(example.content)


@pytest.mark.parametrize("example", _of("emulator"), ids=_place)
def test_an_example_of_an_emulator_is_read(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(yaml.safe_dump(example.content, sort_keys=False))
    assert read_settings(path).tenant
