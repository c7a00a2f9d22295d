"""The bill of materials of the image is one by CycloneDX's own schema, and has everything that is installed."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import distributions, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "sbom.py"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.bill("pgjit", list(distributions())))


def test_the_bill_is_valid_by_the_published_schema(made: dict[str, Any]) -> None:
    folder = files("cyclonedx.schema._res")

    def read(uri: str) -> Any:
        name = uri.rpartition("/")[2].removesuffix(".schema.json").removesuffix(".SNAPSHOT")
        return json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text("utf-8"))

    validator = jsonschema_rs.Draft7Validator(read("bom-1.6"), retriever=read)
    assert [error.message for error in validator.iter_errors(made)] == []


def test_the_bill_has_each_package_once_with_its_version_and_what_it_needs(made: dict[str, Any]) -> None:
    program = made["metadata"]["component"]
    assert (program["name"], program["version"], program["type"]) == ("pgjit", version("pgjit"), "application")
    found = {each["name"]: each for each in made["components"]}
    assert len(found) == len(made["components"])
    assert found["pglast"]["purl"] == f"pkg:pypi/pglast@{version('pglast')}"
    assert "GPL" in json.dumps(found["pglast"]["licenses"])
    needed = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    assert found["pglast"]["bom-ref"] in needed[program["bom-ref"]]
    assert set(needed) == {program["bom-ref"], *(each["bom-ref"] for each in made["components"])}
