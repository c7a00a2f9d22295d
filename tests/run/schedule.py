"""How files go to the workers of a run: as xdist gives them, and to the end of the run also where a worker dies.

xdist gives the test that ended a worker to the next one, until there are no more workers. And a worker begins its
last test only when it hears that nothing follows: one that replaces another, and gets a last file with one test left,
never hears it, and the run stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling
    from xdist.workermanage import WorkerController

__all__ = ["pytest_xdist_make_scheduler"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # only where a run has workers

    class ToTheEnd(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types for it
        def remove_node(self, node: WorkerController) -> str | None:
            work = self.assigned_work.pop(node)
            left = [(tests, test) for tests in work.values() for test, done in tests.items() if not done]
            if not left:
                return None
            tests, ended_it = left[0][0], str(left[0][1])
            tests[ended_it] = True  # it has failed, and ends no other worker
            self.workqueue.update({file: tests for file, tests in work.items() if not all(tests.values())})
            for other in self.assigned_work:
                self._reschedule(other)
            return ended_it

        def schedule(self) -> None:
            begun = self.collection is not None
            super().schedule()
            if begun:
                for node in self.nodes:
                    self._reschedule(node)

    return ToTheEnd(config, log)
