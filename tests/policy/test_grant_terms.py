from __future__ import annotations

from datetime import timedelta

from pgjit.policy.grant_terms import GrantTerms


def test_a_policy_that_gives_no_terms_has_those_of_the_documentation() -> None:
    terms = GrantTerms()

    assert (timedelta(minutes=15), timedelta(hours=1)) == (terms.open_within, terms.lapse_after)
    assert (terms.max_per_day, terms.schedule, terms.review) == (None, None, None)
    assert not terms.break_glass
    assert not terms.reason.required
