"""What records leave out under a policy with `redact`, and how somebody proves later what stood there.

This room decides which members of a record are redacted, and what stands in their place. The text of a statement was
redacted when it was judged (`pgjit/judging/redacted_text.py`); here it gets its commitments.

Words:

- *redacted*: left out of a record before it is written. The value is kept nowhere.
- *member*: a place in a record that had a value: `statement/1`, `parameters/2`, `message/1`.
- *commitment*: a hash of a member's name, its salt and its value, in the record in place of the value. It
  says nothing about the value, and nobody can find another value for it.
- *salt key*: a random key of one day, in a file of its own. Each salt is made from it and from the execution's id and
  the member's name. Without the file no salt can be made, and no value can be tested: that is erasure.

A reader starts with `redacted_record.py`, then `salts.py` and `revealing.py`.

It does not know which columns a statement uses, nor how lines are kept.
"""
