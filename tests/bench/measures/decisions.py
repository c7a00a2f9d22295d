"""How long pgjit takes to decide about a text.

One that is cached, one that differs from it by a literal, a small and a medium one that are new in every way. In
this process, with a judge like that of a session: the policy denies a column, so every name is looked up.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from pgjit.judging.judge import Judge
from tests.bench.bed import PGJIT
from tests.bench.core import Core
from tests.bench.effort import Effort
from tests.bench.figures import Figure, spread
from tests.fakes.policies import policy
from tests.fixtures.terms import terms

__all__ = ["CASES", "measure"]

_LITERAL = "SELECT status FROM orders WHERE id = {}"
_SMALL = "SELECT status AS s{} FROM orders WHERE id = 7"  # a name of its own: no cache knows its shape either
_MEDIUM = """
SELECT c.country, o.status, count(*) AS n{}, sum(l.quantity * p.unit_price) AS revenue
FROM customers c
JOIN orders o ON o.customer_id = c.id
JOIN order_lines l ON l.order_id = o.id
JOIN products p ON p.id = l.product_id
WHERE o.id > 7 AND c.country IN ('DE', 'FR', 'IT') AND p.category <> 'gift' AND o.status = 'paid'
GROUP BY c.country, o.status HAVING count(*) > 3 ORDER BY revenue DESC NULLS LAST LIMIT 100
"""
_TEXTS = 300


def _hit(judge: Judge) -> Callable[[int], object]:
    text = _LITERAL.format(1).encode()
    judge(text)
    return lambda _: judge.judge_inline(text)


def _miss(text: str) -> Callable[[Judge], Callable[[int], object]]:
    return lambda judge: lambda number: judge(text.format(number).encode())


CASES = {
    "decision-hit": _hit, "decision-literal": _miss(_LITERAL), "decision-small": _miss(_SMALL),
    "decision-medium": _miss(_MEDIUM),
}  # fmt: skip


def measure(effort: Effort) -> Iterator[Figure]:
    denying = replace(policy(), statements=terms(access="read-only", deny=[{"columns": ["public.customers.email"]}]))
    judge = Core(denying).judge
    numbers = itertools.count()
    for case in effort.chosen(CASES):
        decide = CASES[case](judge)
        rounds = [_time_of_each(decide, numbers) for _ in range(max(3, effort.rounds))]
        yield Figure(case, "time", "µs", {PGJIT: spread(rounds)})


def _time_of_each(decide: Callable[[int], object], numbers: Iterator[int]) -> float:
    """By this thread's CPU, which is the time that the event loop would be held up: nothing here waits."""
    texts = list(itertools.islice(numbers, _TEXTS))
    begun = time.thread_time_ns()
    for number in texts:
        assert decide(number) is not None
    return (time.thread_time_ns() - begun) / 1000 / len(texts)
