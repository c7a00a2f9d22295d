"""For which hosts a browser may keep that they are reached by HTTPS alone."""

from __future__ import annotations

from pgjit.api.strict_transport import is_kept_for
from tests.run.rows import table


@table(
    ("authority", "kept"),
    [
        ("pgjit.example.com", True),
        ("pgjit.example.com:8432", True),
        ("PGJIT", True),
        ("localhost.example.com", True),
        ("localhost", False),
        ("LocalHost:8432", False),
        ("localhost.:8432", False),
        ("shop.localhost:8432", False),
        ("127.0.0.1", False),
        ("10.20.1.100:8432", False),
        ("[::1]", False),
        ("[fd00::7]:8432", False),
        ("[::1", False),
        (":8432", False),
        ("", False),
    ],
)
def test_a_name_that_is_not_of_ones_own_machine(authority: str, kept: bool) -> None:
    assert is_kept_for(authority) is kept
