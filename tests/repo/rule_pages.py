"""Writes docs/rules from the rules' own docstrings and their cases, and the schema of policy files.

Decides how a page is laid out. Run by `make docs`; `test_rule_pages.py` fails when a page is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from pgjit.policy.catalogue import Page, catalogue, linked
from pgjit.policy.schema import policy_schema
from tests.fixtures.documents import read_yaml

__all__ = ["FOLDER", "SCHEMA", "contents"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "rules"
SCHEMA = ROOT / "policies" / "policy.schema.json"
CASES = ROOT / "tests" / "policy" / "rules"
_MOST = 6

_HEAD = """\
# Rules

A statement runs when no rule finds anything in it; a message runs when all of its statements may. Rules are
independent: one more can only refuse more. The name of a rule is the reference of the error (`pgjit:<name>` in the
field `R` of the ErrorResponse), of its file in `pgjit/policy/rules` and of its page here. Under `access: full` no
rule is applied. These pages are written by `make docs` from the rules themselves.

| rule | about |
|---|---|
"""


def contents() -> dict[Path, str]:
    """What every generated file holds."""
    pages = catalogue()
    found = {FOLDER / f"{page.name}.md": _page(page) for page in pages}
    found[FOLDER / "README.md"] = _HEAD + "".join(
        f"| [{page.name}]({page.name}.md) | {page.summary} |\n" for page in pages
    )
    found[SCHEMA] = json.dumps(policy_schema(), indent=2) + "\n"
    return found


def _page(page: Page) -> str:
    parts = [
        f"# {page.name}",
        linked(page.about),
        linked(page.switch),
        *([_options(page)] if page.options else []),
        f"## Why\n\n{linked(page.why)}",
        f"## What to write instead\n\n{linked(page.instead)}",
        f"## Examples\n\n{_examples(page.name)}",
    ]
    return "\n\n".join(parts) + "\n"


def _options(page: Page) -> str:
    rows = [f"| `{option.name}` | `{option.default}` | {option.meaning} |" for option in page.options]
    return "\n".join([f"| option under `rules.{page.name}` | default | meaning |", "|---|---|---|", *rows])


def _examples(name: str) -> str:
    table: dict[str, Any] = read_yaml((CASES / f"{name}.yaml").read_text("utf-8"))
    presets = [access for access in ("read-only", "read-write") if table.get(access, {}).get("fail")]
    blocks = [(f"Under `access: {access}`:", table[access]) for access in presets]
    blocks += [
        (f"Under `{_flow(given['statements'])}`:", given) for given in table.get("under", ()) if given.get("fail")
    ]
    return "\n\n".join(_block(*block) for block in blocks[:2])


def _flow(section: object) -> str:
    return str(yaml.safe_dump(section, default_flow_style=True, width=10_000, sort_keys=False)).strip()


def _block(head: str, cases: dict[str, list[str]]) -> str:
    rows = [f"| {verdict} | {_code(sql)} |" for verdict, key in (("refused", "fail"), ("passes", "pass"))
            for sql in cases.get(key, ())[:_MOST]]  # fmt: skip
    return "\n".join([head, "", "| | |", "|---|---|", *rows])


def _code(sql: str) -> str:
    return "`" + sql.replace("|", "\\|").replace("`", "'") + "`"


if __name__ == "__main__":
    for path, text in contents().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{path}: written", file=sys.stderr)
