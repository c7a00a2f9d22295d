"""The checks around the parser: text that must not be given to it, and a tree that must not be read.

`check_text` comes before the parser, `check_tree_size` between the parser and the reading of its tree. Each raises
StatementRefused. Knows no tree and no policy; how long a statement may be is the policy's.
"""

from __future__ import annotations

from pgjit.errors import StatementRefused
from pgjit.sql.guards.oversized_tree import has_oversized_tree
from pgjit.sql.guards.quadratic_lexing import lexes_quadratically

__all__ = ["check_text", "check_tree_size", "not_unicode", "too_deep"]

_TREE_BYTES = 2 * 1024 * 1024
_TREE_RATIO = 128  # no syntax is known that comes near it, but for `SET (a, b) = (SELECT ...)`


def check_text(text: str) -> None:
    """Raises StatementRefused for a zero byte, quadratic lexing or an oversized tree."""
    if "\0" in text:
        raise StatementRefused(
            "statement holds a zero byte", reference="invalid-encoding", sqlstate="22021",
            hint="Leave the zero byte out: PostgreSQL's text ends at it.",
        )  # fmt: skip
    if lexes_quadratically(text):
        raise too_deep()
    if has_oversized_tree(text):
        raise _too_wide()


def check_tree_size(tree: int, text: int) -> None:
    """`tree`: bytes of the parser's output. `text`: characters that it was made from."""
    if tree > max(_TREE_BYTES, _TREE_RATIO * text):
        raise _too_wide()


def not_unicode() -> StatementRefused:
    return StatementRefused("statement is not valid Unicode", reference="invalid-encoding", sqlstate="22021")


def too_deep() -> StatementRefused:
    return StatementRefused(
        "statement is nested too deeply to be judged",
        reference="statement-too-deep",
        sqlstate="54001",
        hint="Write long lists as IN (...) or = ANY (array), and split long chains of operators.",
    )


def _too_wide() -> StatementRefused:
    return StatementRefused(
        "statement assigns too many columns from one query or row to be judged",
        reference="statement-too-large",
        sqlstate="54000",
        hint="Write `SET a = 1, b = 2`, or take the values FROM a subquery.",
    )
