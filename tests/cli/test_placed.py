from __future__ import annotations

import pytest

from pgjit.cli.placed import as_fields


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        ("policies/a.yaml:3:7: `ttl` is missing", ("policies/a.yaml", 3, 7, "`ttl` is missing")),
        ("/p:q/a.yaml:3:7: x:1:2: y", ("/p:q/a.yaml", 3, 7, "x:1:2: y")),
        ("a.yaml: policy `p` names connection `c`", ("a.yaml", None, None, "policy `p` names connection `c`")),
        ("certificate and key: no start line", (None, None, None, "certificate and key: no start line")),
        ("", (None, None, None, "")),
    ],
)
def test_a_fault_as_fields(fault: str, fields: tuple[object, ...]) -> None:
    assert as_fields(fault) == dict(zip(("file", "line", "column", "message"), fields, strict=True))
