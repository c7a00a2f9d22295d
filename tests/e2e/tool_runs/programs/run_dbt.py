"""dbt: debug, compile, show, test, docs generate, source freshness; and a model that may not be made."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
from pathlib import Path

import place
from dbt.cli.main import dbtRunner

PROFILE = {
    "shop": {
        "target": "only",
        "outputs": {
            "only": {
                "type": "postgres", "host": place.HOST, "port": place.PORT, "user": place.USER,
                "pass": place.PASSWORD,
                "dbname": place.DATABASE, "schema": "app", "threads": 1, "sslmode": place.SSLMODE,
                **({"sslrootcert": place.ROOT} if place.ROOT else {}),
            }
        },
    }
}  # fmt: skip
FILES = {
    "dbt_project.yml": "{name: shop, version: '1.0', profile: shop, flags: {send_anonymous_usage_stats: false}}",
    "models/recent.sql": "{{ config(materialized='view') }} SELECT id, placed FROM {{ source('app', 'orders') }}",
    "models/sources.yml": """
version: 2
sources:
  - name: app
    schema: app
    tables:
      - {name: orders, loaded_at_field: placed, freshness: {warn_after: {count: 1, period: hour}}}
      - {name: users, columns: [{name: id, data_tests: [unique, not_null]}]}
""",
}


def dbt(*arguments: str) -> tuple[bool, str]:
    """All in one process: to load dbt takes longer than what it does here."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        done = dbtRunner().invoke(["--no-use-colors", "--log-format", "text", *arguments, "--profiles-dir", "."])
    return done.success, told.getvalue()


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for path, text in FILES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    (folder / "profiles.yml").write_text(json.dumps(PROFILE))
    os.chdir(folder)
    done, told = dbt("debug")
    print("debug", done, "OK connection ok" in told)
    print("compile", dbt("compile")[0])
    done, told = dbt("show", "--inline", "SELECT id FROM app.orders ORDER BY id", "--limit", "3")
    print("show", done, re.findall(r"^\|.*", told, re.MULTILINE))
    done, told = dbt("test")
    print("test", done, re.findall(r"(?:PASS|FAIL|ERROR)=\d+", told))
    print("docs", dbt("docs", "generate")[0])
    catalog = json.loads((folder / "target" / "catalog.json").read_text())
    print("catalog", sorted((key, sorted(one["columns"])) for key, one in catalog["sources"].items()))
    print("freshness", dbt("source", "freshness")[0])
    done, told = dbt("run")
    print("run", done, [line.strip() for line in told.splitlines() if "denied" in line or "allowed" in line][:1])
