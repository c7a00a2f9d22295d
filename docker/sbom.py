"""Prints a bill of materials of the environment that runs this: CycloneDX 1.6, as JSON.

`python sbom.py pgjit`: the program that the bill is for is its one argument. Decides how a package's own metadata is
written there. Which packages there are is what is installed, so nothing can be missing. It needs nothing but Python,
because it runs while the image is built.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any

__all__ = ["bill"]

_REQUIRED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def bill(program: str, installed: list[Distribution]) -> dict[str, Any]:
    """The bill for `program`, which is one of those that are `installed`. The same input gives the same output."""
    packages = {_name(each): each for each in sorted(installed, key=_name)}
    components = {name: _component(each) for name, each in packages.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**components[program], "type": "application"}},
        "components": [component for name, component in components.items() if name != program],
        "dependencies": [
            {"ref": components[name]["bom-ref"], "dependsOn": _needed(each, components)}
            for name, each in packages.items()
        ],
    }


def _name(package: Distribution) -> str:
    """Its name, as in a package URL."""
    return _normalized(package.metadata["Name"])


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(package: Distribution) -> dict[str, Any]:
    url = f"pkg:pypi/{_name(package)}@{package.version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": _name(package),
        "version": package.version,
        "purl": url,
    }
    if summary := package.metadata.get("Summary"):
        found["description"] = summary
    if licenses := _licenses(package):
        found["licenses"] = licenses
    return found


def _licenses(package: Distribution) -> list[dict[str, Any]]:
    """An SPDX expression if the package gives one; else the names of its classifiers, or of its free text."""
    if expression := package.metadata.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = package.metadata.get_all("Classifier") or []
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    if not names and (text := package.metadata.get("License")):
        names = [text.splitlines()[0].strip()]
    return [{"license": {"name": name}} for name in sorted(set(names)) if name]


def _needed(package: Distribution, components: dict[str, dict[str, Any]]) -> list[str]:
    """What it may need and is installed: conditions of platforms and extras are not evaluated."""
    found = set()
    for each in package.requires or []:
        written = _REQUIRED.match(each)
        if written and (name := _normalized(written[0])) in components:
            found.add(components[name]["bom-ref"])
    return sorted(found)


if __name__ == "__main__":
    json.dump(bill(sys.argv[1], list(distributions())), sys.stdout, indent=1)
    sys.stdout.write("\n")
