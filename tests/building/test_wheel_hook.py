"""The wheel with compiled modules, in an environment of its own: the demo runs from a login to the end of its window.

`make test-compiled` builds the wheel and runs this.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.run.processes import finish

ROOT = Path(__file__).parents[2]
_SECONDS = 240


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheels = sorted((ROOT / "dist").glob("pgjit-*-cp*.whl"))
    if not wheels or "PYTHONSAFEPATH" not in os.environ:
        pytest.skip("make test-compiled builds a wheel and runs it")
    place = tmp_path_factory.mktemp("wheel") / "environment"
    made = finish(sys.executable, "-m", "venv", "--without-pip", place, seconds=_SECONDS)
    assert made.status == 0, made.err
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python", "--disable-pip-version-check")
    installed = finish(*pip, "install", "--no-deps", wheels[-1], seconds=_SECONDS, env=_clean())
    assert installed.status == 0, installed.err
    # Only now: pip would find the checkout's pgjit there, and install nothing. PYTHONPATH has the compiled one.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return place


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _run(environment: Path, *arguments: str) -> str:
    done = finish(environment / "bin" / "pgjit", *arguments, seconds=_SECONDS, env=_clean(), cwd=environment.parent)
    assert done.status == 0, done.out + done.err
    return done.out


@pytest.mark.live
def test_its_modules_are_compiled(environment: Path) -> None:
    assert _run(environment, "--version").endswith(" modules compiled\n")


@pytest.mark.live
def test_it_runs_the_demo(environment: Path) -> None:
    assert "window" in _run(environment, "demo", "--once")


@pytest.mark.live
def test_it_has_the_consoles_templates_and_static_files(environment: Path) -> None:
    console = Path("pgjit") / "console"
    [installed] = environment.glob(f"lib/python*/site-packages/{console}")
    for folder in ("templates", "static"):
        names = sorted(each.name for each in (ROOT / console / folder).iterdir())
        assert names
        assert sorted(each.name for each in (installed / folder).iterdir()) == names
