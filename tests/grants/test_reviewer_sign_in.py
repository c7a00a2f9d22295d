"""An approval counts by how the reviewer signed in, where the policy asks for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pgjit.grants.reviewer_sign_in import SignInNeeded, check_sign_in
from pgjit.grants.reviewers import Reviewer
from pgjit.policy.grant_terms import SignInTerms
from tests.contracts.store import ALICE, NOW
from tests.grants.review_cast import reviewer
from tests.run.rows import table

WITHIN = SignInTerms(within=timedelta(minutes=15))
CONTEXTS = SignInTerms(acrs=frozenset({"c1", "c2"}))
SHOWN: Reviewer = replace(reviewer(ALICE), signed_in_at=NOW, acrs=frozenset({"c1", "c2", "c3"}))


@table(
    ("terms", "changes", "refused"),
    [
        (SignInTerms(), {"signed_in_at": None, "acrs": frozenset()}, None),
        (WITHIN, {}, None),
        (WITHIN, {"signed_in_at": NOW - timedelta(minutes=15)}, None),
        (WITHIN, {"signed_in_at": NOW + timedelta(seconds=60)}, None),
        (WITHIN, {"signed_in_at": NOW - timedelta(minutes=15, seconds=1)}, "yours is older"),
        (WITHIN, {"signed_in_at": NOW + timedelta(seconds=61)}, "yours is older"),
        (WITHIN, {"signed_in_at": None}, "does not show when"),
        (CONTEXTS, {}, None),
        (CONTEXTS, {"acrs": frozenset({"c1"})}, "the authentication context `c2`,"),
        (CONTEXTS, {"acrs": frozenset()}, "`c1`, `c2`"),
    ],
)
def test_an_approval_needs_the_sign_in_that_the_policy_asks_for(
    terms: SignInTerms, changes: dict[str, object], refused: str | None
) -> None:
    who = replace(SHOWN, **changes)  # type: ignore[arg-type]
    if refused is None:
        check_sign_in("r_1", who, terms, NOW)
        return
    with pytest.raises(SignInNeeded) as error:
        check_sign_in("r_1", who, terms, NOW)
    assert refused in str(error.value.detail)
    assert error.value.problem()["acrs"] == sorted(terms.acrs)
