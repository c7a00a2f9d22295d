"""Hatch's hook for a wheel with compiled modules: `HATCH_BUILD_HOOKS_ENABLE=1 pip wheel .`

Without that variable a wheel is plain Python, and needs no compiler. An editable install is always plain.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["CompileHook"]

_PACKAGES = {"pgjit": "pgjit", "protocol/pgwire": "pgwire"}  # from the repository to where they are installed


class CompileHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        tree = Path(tempfile.mkdtemp(prefix="pgjit-compiled-"))
        self._tree = tree
        for source, installed in _PACKAGES.items():
            shutil.copytree(root / source, tree / installed, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        program = root / "building" / "compile_modules.py"
        done = subprocess.run([sys.executable, program, tree, *self.config["modules"]], check=False)
        if done.returncode != 0:
            raise SystemExit(
                "modules could not be compiled; without HATCH_BUILD_HOOKS_ENABLE=1 pgjit is plain Python"
            )
        made = [*tree.rglob("*.so"), tree / "pgjit" / "compiled.json"]
        for file in made:
            if (place := file.relative_to(tree)).parts[0] != "build":
                build_data["force_include"][str(file)] = str(place)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version == "editable":
            return
        shutil.rmtree(self._tree, ignore_errors=True)
        with zipfile.ZipFile(artifact_path) as wheel:
            listed: dict[str, str] = json.loads(wheel.read("pgjit/compiled.json"))["sources"]
            changed = [name for name, digest in listed.items() if sha256(wheel.read(name)).hexdigest() != digest]
        if changed:  # pgjit would not start with them
            raise SystemExit(f"sources changed while they were compiled: {', '.join(changed)}")
