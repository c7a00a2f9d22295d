"""Who may review: every trick to approve one's own request is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgjit.errors import AccessRefused
from pgjit.grants.holder import Holder
from pgjit.grants.request_refusals import AgentsNeverReview, NotAReviewer, OwnRequest
from pgjit.grants.reviewers import Reviewer, may_review, own_keys
from pgjit.identity.identity import IdentityKey, IdentityKind
from tests.contracts.store import ALICE
from tests.grants.review_cast import CAROL, DBAS, OWNER, asker, request, reviewer

APP = IdentityKey(ALICE.tid, "99999999-0000-4999-8999-999999999999")


def test_a_member_of_the_group_may() -> None:
    may_review(request(), reviewer(CAROL))


@pytest.mark.parametrize(
    ("who", "error"),
    [
        pytest.param(reviewer(ALICE), OwnRequest, id="the requester"),
        pytest.param(reviewer(OWNER), OwnRequest, id="its owner"),
        pytest.param(replace(reviewer(CAROL), ties=frozenset({ALICE})), OwnRequest, id="the directory shows the tie"),
        pytest.param(replace(reviewer(CAROL), groups=frozenset()), NotAReviewer, id="of no group"),
        *[
            pytest.param(replace(reviewer(CAROL), kinds=frozenset({kind})), AgentsNeverReview, id=kind.value)
            for kind in IdentityKind
            if kind is not IdentityKind.USER
        ],
        pytest.param(
            replace(reviewer(CAROL), kinds=frozenset({IdentityKind.USER, IdentityKind.AGENT})),
            AgentsNeverReview,
            id="an agent on behalf of a person",
        ),
        pytest.param(replace(reviewer(CAROL), kinds=frozenset()), AgentsNeverReview, id="of no kind"),
    ],
)
def test_others_may_not(who: Reviewer, error: type[AccessRefused]) -> None:
    with pytest.raises(error):
        may_review(request(), who)


def test_the_app_and_the_user_of_an_agent_are_its_own() -> None:
    acting = replace(asker(), on_behalf_of=OWNER.oid)
    assert own_keys(acting, frozenset({CAROL})) == {ALICE, APP, OWNER, CAROL}


AN_AGENT, A_USER = Holder(kind=IdentityKind.AGENT, app_id=APP.oid), Holder(kind=IdentityKind.USER)
FOR_A_USER = Holder(kind=IdentityKind.USER, app_id=APP.oid, on_behalf_of=ALICE.oid)


@pytest.mark.parametrize("holder", [AN_AGENT, FOR_A_USER, None])
def test_a_token_that_the_requesting_app_got_for_a_reviewer_decides_nothing(holder: Holder | None) -> None:
    made = replace(request(), own=frozenset({ALICE, APP}), ask=replace(request().ask, holder=holder))
    with pytest.raises(OwnRequest):
        may_review(made, replace(reviewer(CAROL), app=APP))
    may_review(made, replace(reviewer(CAROL), app=OWNER))


def test_who_owned_the_program_when_it_asked_does_not_review() -> None:
    with pytest.raises(OwnRequest):
        may_review(replace(request(), owners=frozenset({CAROL})), reviewer(CAROL))


def test_people_share_a_client() -> None:
    made = replace(request(), own=frozenset({ALICE, APP}), ask=replace(request().ask, holder=A_USER))
    may_review(made, replace(reviewer(CAROL), app=APP))


def test_a_role_makes_a_reviewer_where_the_policy_names_it() -> None:
    by_role = replace(request(), review=replace(request().review, groups=(), roles=("dba",)))
    may_review(by_role, replace(reviewer(CAROL), groups=frozenset(), roles=frozenset({"dba"})))
    with pytest.raises(NotAReviewer):
        may_review(by_role, replace(reviewer(CAROL), groups=frozenset({DBAS})))
