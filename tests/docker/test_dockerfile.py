"""The image: what it is built from exists, and what it promises is in its instructions. No engine is needed."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.run.processes import finish

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
_TOOLS = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, on one line."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in whole.splitlines())]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.rpartition(" AS ")[2]
            found[name] = []
        if name:
            found[name].append((word, rest))
    return found


@pytest.mark.live
def test_the_linter_has_nothing_to_say() -> None:
    done = finish(_TOOLS / "hadolint", "--no-color", str(DOCKERFILE), seconds=60)
    assert (done.status, done.out, done.err) == (0, "", "")


def test_the_last_stage_is_the_one_without_the_demo() -> None:
    *_, (name, content) = stages().items()
    assert name == "production"
    assert content == [
        ("FROM", "runtime AS production"),
        ("COPY", "--from=without-demo /opt/pgjit /opt/pgjit"),
    ]


def test_the_image_runs_as_a_user_by_number_and_reports_its_health() -> None:
    runtime = dict(stages()["runtime"])
    user, group = runtime["USER"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert f"--uid {user} " in " ".join(rest for word, rest in stages()["runtime"] if word == "RUN")
    assert "/readyz" in runtime["HEALTHCHECK"]
    assert runtime["ENTRYPOINT"] == '["pgjit"]'


def test_nothing_is_copied_that_is_not_there_or_is_ignored() -> None:
    kept = set((ROOT / "docker" / "Dockerfile.dockerignore").read_text("utf-8").split("\n"))
    copied = [shlex.split(rest)[:-1] for word, rest in instructions() if word == "COPY" and "--from=" not in rest]
    sources = {source.removeprefix("./") for each in copied for source in each}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    assert {f"!{source}" for source in sources} - kept == set()


def test_the_versions_are_those_that_were_tested() -> None:
    [install] = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert "--constraint constraints.txt" in install
    assert "[dev]" not in install
