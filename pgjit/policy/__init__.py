"""May this run: policy files, the rules that judge statements, and the choice of a policy for an identity.

This room decides what a policy file may say, which policy opens which connection to whom, and whether the statements
of a message may run under a policy. Everything in it is pure: it takes values and returns values.

Words:

- *policy*: one YAML file as a value (`policy.py`): group, connection, how access is granted, limits, statement terms.
- *entry*: one item of `allow` or `deny` (`selector.py`): kinds of statements, or patterns of object names.
- *rule*: one check on a statement (`rule.py`, `rules/`). It yields violations, and cannot allow what another refuses.
- *violation*: why one rule refuses a statement, and the objects that it refuses. A *decision* is Allow, or Deny with
  every violation (`decision.py`).
- *passage*: an object that a rule lets pass because of an entry (`passages.py`). Explanations and the coverage of
  tests are made of passages and violations.
- *redaction*: what records leave out: the values of some columns, and what some patterns match (`redaction.py`).

A reader starts in `evaluate.py`: every rule over every statement. Then `match.py` (which entry means which object),
and one file in `rules/`: it has the name of the error's reference.

- From file to value: `language.py` (keys), `load.py` (values), `faults.py` (contradictions), `pattern.py` (names).
- Who gets a policy: `choose.py`, `identity_terms.py`.
- For people: `explain.py`, `coverage.py`, `suite.py` (tests beside policies), `catalogue.py` (pages of the rules).

INVARIANT: an entry of `allow` counts only where it certainly means an object, an entry of `deny` where it possibly
does. An unknown kind, object or syntax is refused.

It does not know SQL text or syntax trees (`pgjit.sql` gives it facts), tokens, sessions, or the time.
"""
