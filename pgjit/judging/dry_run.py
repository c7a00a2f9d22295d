"""What the proxy would decide, without a client and without a server: by the code that judges sessions. Pure.

Decides nothing of its own: `choose_policy` chooses, `assess` judges.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pgjit.errors import AccessRefused
from pgjit.identity.identity import Identity, IdentityKey, IdentityKind
from pgjit.judging.judge import Judgement, assess
from pgjit.policy.choose import choose_policy
from pgjit.policy.explain import Ground, grounds_of
from pgjit.policy.load import Policies
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy
from pgjit.policy.suite import Case, CaseCaller, CaseOutcome
from pgjit.sql.catalog import Catalog
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.resolve import resolve
from pgjit.sql.statement import Statement

__all__ = ["REFERENCES", "explain_judgement", "policy_for", "rehearse"]

REFERENCES = frozenset(
    {
        "no-policy", "ambiguous-policy", "syntax-error", "statement-too-deep", "statement-too-large",
        "invalid-encoding", "unjudgeable",
    }
)  # fmt: skip
"""What refuses a login or a statement beside the rules."""

_NOBODY = "00000000-0000-0000-0000-000000000000"


def policy_for(policies: Policies, caller: CaseCaller) -> Policy:
    """The policy that a session of `caller` would have. Raises AccessRefused."""
    never = datetime.fromtimestamp(0, UTC)
    identity = Identity(
        key=IdentityKey(_NOBODY, _NOBODY),
        kind=IdentityKind.APP,
        app_id=None,
        display=caller.name,
        groups=caller.groups,
        token_id="",
        issued_at=never,
        expires_at=never,
    )
    return choose_policy(policies, identity, caller.connection, caller.user)


def rehearse(policies: Policies, case: Case, limit: int, catalog: Catalog | None = None) -> CaseOutcome:
    """What becomes of one case of a suite, on a server with that catalog."""
    try:
        policy = policies[case.policy or ""] if case.caller is None else policy_for(policies, case.caller)
    except AccessRefused as fault:
        return CaseOutcome(case=case, decision="deny", rules=(fault.reference,), message=fault.message)
    passages = Passages()
    judgement = assess(policy, case.sql.encode("utf-8", "surrogatepass"), limit, catalog, passages=passages)
    found = (*judgement.violations, *judgement.observed)
    return CaseOutcome(
        case=case,
        decision="allow" if judgement.allowed else "deny",
        policy=policy.name,
        rules=tuple(dict.fromkeys(violation.rule for violation in judgement.violations)),
        message=judgement.violations[0].message if judgement.violations else None,
        places=passages.places.union(violation.entry for violation in found if violation.entry),
    )


def explain_judgement(
    policy: Policy, judgement: Judgement, catalog: Catalog | None, passages: Passages
) -> tuple[tuple[Ground, ...], ...]:
    """For each statement, what is in it and which line of the policy decided on it.

    `passages`: collected by the same judgement.
    """
    return tuple(
        _explain_statement(policy, statement, judgement, catalog, passages) for statement in judgement.statements
    )


def _explain_statement(
    policy: Policy, statement: Statement, judgement: Judgement, catalog: Catalog | None, passages: Passages
) -> tuple[Ground, ...]:
    referenced = passages.referenced(statement)
    if referenced is None:  # no rule needed the names, or no rule was asked: they are resolved for the list alone
        try:
            referenced = resolve(statement, catalog)
        except Exception:  # noqa: BLE001 - what the rules reported remains
            referenced = ReferencedObjects()
    place = policy.statements.place
    return grounds_of(statement, referenced, place, judgement.violations, passages.of(statement))
