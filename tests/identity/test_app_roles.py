"""Which roles of a token count as the role that a policy names."""

from __future__ import annotations

import pytest

from pgjit.identity.app_roles import app_role, counted_roles, role_warnings

HOME = "11111111-1111-4111-8111-111111111111"
OTHER = "aaaaaaaa-2222-4222-8222-222222222222"


@pytest.mark.parametrize(
    ("tenant", "values", "counted"),
    [
        (HOME, ["A.Read"], {"A.Read", f"{HOME}/A.Read"}),
        (OTHER, ["A.Read"], {f"{OTHER}/A.Read"}),
        (HOME, ["a/b"], {"a/b", f"{HOME}/a/b"}),
        # A value that reads as a role of a tenant, whichever tenant issues it.
        (OTHER, [f"{HOME}/A.Read", HOME, f"{HOME.upper()}/A.Read"], {f"{OTHER}/{HOME}"}),
        (HOME, [f"{OTHER}/A.Read", f"{HOME}/A.Read"], set()),
        (OTHER, [], set()),
    ],
)
def test_a_role_counts_with_its_tenant(tenant: str, values: list[str], counted: set[str]) -> None:
    assert counted_roles(values, tenant, first=tenant == HOME) == counted


@pytest.mark.parametrize(
    ("written", "compared"),
    [("A.Read", "A.Read"), (f"{OTHER.upper()}/A.Read", f"{OTHER}/A.Read"), ("team/A:b-c_d", "team/A:b-c_d")],
)
def test_a_tenant_is_compared_in_lower_case(written: str, compared: str) -> None:
    assert app_role(written) == compared


@pytest.mark.parametrize("written", ["", "a b", f"{HOME}/", f"{HOME}/{OTHER}/A", "r" * 121, "ä", None, 7])
def test_what_can_be_no_role_is_a_fault(written: object) -> None:
    with pytest.raises(ValueError, match=r"such as Database\.Read or TENANT-ID/Database\.Read"):
        app_role(written)


def test_a_role_that_counts_for_fewer_than_it_seems_is_warned_of() -> None:
    plain, theirs = ("p", "A.Read"), ("p", f"{OTHER}/A.Read")
    assert role_warnings([HOME], [plain, ("p", f"{HOME}/A.Read")]) == []
    (warning,) = role_warnings([HOME, OTHER], [plain, theirs, plain])
    assert f"`A.Read`, which counts in tenant {HOME} only, the first of `identity.tenant`. For another" in warning
    assert warning.endswith("write `TENANT-ID/A.Read`")
    assert "does not name that tenant: nobody holds it" in role_warnings([HOME], [theirs])[0]
    assert role_warnings([], [plain]) == [
        "policy `p` names the app role `A.Read`: tokens of this provider carry no app roles, so nobody holds it"
    ]
