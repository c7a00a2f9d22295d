"""What the chart renders from its examples, kept in tests/fixtures/chart: Helm is not there where the tests run.

`python -m tests.docker.rendered_chart` writes it anew, with the `helm` of PATH, after a change of the chart. Decides
where it is kept, and by which digest a test finds that the chart has changed since.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from tests.run.processes import finish

__all__ = ["CHART", "EXAMPLES", "digest", "kept", "lint", "rendered"]

CHART = Path(__file__).parents[2] / "docker" / "helm" / "pgjit"
EXAMPLES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
_KEPT = Path(__file__).parents[1] / "fixtures" / "chart"
_KUBERNETES = "1.34.0"


def digest() -> str:
    """The digest of everything from which the chart is rendered."""
    found = hashlib.sha256()
    for path in sorted(CHART.rglob("*")):
        if path.is_file() and path.name != "README.md":
            content = path.read_bytes()
            found.update(f"{path.relative_to(CHART)} {len(content)}\n".encode() + content)
    return found.hexdigest()


def kept(example: str) -> Path:
    return _KEPT / f"{example}.yaml"


def rendered(helm: str, example: str) -> str:
    values = CHART / "ci" / f"{example}-values.yaml"
    done = finish(
        helm, "template", "pgjit", CHART, "--namespace", "pgjit", "--kube-version", _KUBERNETES, "--values", values,
        seconds=120,
    )  # fmt: skip
    if done.status != 0:
        raise ValueError(done.err)
    return f"# Written by `python -m tests.docker.rendered_chart`. The chart then: {digest()}\n{done.out}"


def lint(helm: str, example: str) -> str:
    """What `helm lint --strict` finds; an empty text if nothing."""
    done = finish(helm, "lint", "--strict", CHART, "--values", CHART / "ci" / f"{example}-values.yaml", seconds=120)
    return "" if done.status == 0 else done.out + done.err


if __name__ == "__main__":
    program = shutil.which("helm")
    if program is None:
        sys.exit("helm is not in PATH")
    for name in EXAMPLES:
        kept(name).write_text(rendered(program, name), encoding="utf-8")
    sys.stdout.write(f"wrote {', '.join(EXAMPLES)}\n")
