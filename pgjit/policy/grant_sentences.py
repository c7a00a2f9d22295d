"""How a policy grants access, in sentences for people: `pgjit policy explain --terms` prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.durations import duration_text
from pgjit.policy.grant_terms import Grant, ReviewTerms
from pgjit.policy.policy import Policy

__all__ = ["grant_sentences"]


def grant_sentences(policy: Policy) -> Iterator[str]:
    """Who gets a window, who decides, when it may open, and when it ends."""
    terms, review = policy.terms, policy.terms.review
    who = f"a holder of role {policy.identity.role}" if policy.group is None else "a member of the group"
    if terms.break_glass and review is not None:
        yield f"Connecting is the request: {who} is granted it at once, and an alert is raised (break-glass)."
        length, others = duration_text(terms.sign_off_within), _reviewers(review)
        yield f"Within {length} of its end, {others} must sign the window off: not the person who used it."
    elif policy.grant is Grant.REVIEW and review is not None:
        yield f"Connecting makes a request, and {who} waits for people to decide on it."
        people = "one person" if review.approvals == 1 else f"{review.approvals} different people"
        lapse = duration_text(terms.lapse_after)
        yield f"It takes the approval of {people} among {_reviewers(review)}, within {lapse}."
        refusals = 1 if review.one_refusal_ends else review.approvals
        yield f"{'One refusal ends' if refusals == 1 else f'{refusals} refusals end'} the request."
        yield f"The first session must connect within {duration_text(terms.open_within)} of the approval."
        if terms.reviewer_sign_in.within is not None:
            length = duration_text(terms.reviewer_sign_in.within)
            yield f"Who approves must have signed in within the last {length}."
        if terms.reviewer_sign_in.acrs:
            contexts = ", ".join(sorted(terms.reviewer_sign_in.acrs))
            yield f"Who approves must have satisfied the authentication context {contexts}."
        yield "Nobody decides on their own request, nor on that of an agent that is theirs or acts for them."
    else:
        yield f"Connecting is the request: {who} is granted it at once."
    if terms.reason.required or terms.reason.pattern is not None:
        form = "" if terms.reason.pattern is None else f", and it or the ticket must match {terms.reason.pattern}"
        yield f"A reason must be given{form}."
    if terms.schedule is not None:
        yield f"Windows open, and end, within {terms.schedule}."
    if terms.max_per_day is not None:
        yield f"One identity may open at most {terms.max_per_day} within 24 hours."
    yield from _record_sentences(policy)
    ttl, cooldown = duration_text(policy.ttl), duration_text(policy.cooldown)
    yield f"A window lasts at most {ttl} from its first session; the next may open {cooldown} after its end."


def _record_sentences(policy: Policy) -> Iterator[str]:
    if policy.record == "statements":
        yield "Statements are recorded without their values."
    if policy.results is not None:
        yield f"Up to {policy.results.rows} rows and {policy.results.bytes} bytes of each result are kept."
    if (redaction := policy.redaction) is not None:
        columns = () if redaction.columns is None else (each.text for each in redaction.columns.included)
        left_out = [f"values of {each}" for each in columns]
        if (patterns := len(redaction.patterns)) > 0:
            left_out.append("what a pattern matches" if patterns == 1 else f"what {patterns} patterns match")
        yield f"Records leave out {' and '.join(left_out)}."


def _reviewers(review: ReviewTerms) -> str:
    return " or ".join(
        [*(f"group {each}" for each in review.group_texts), *(f"role {each}" for each in review.roles)]
    )
