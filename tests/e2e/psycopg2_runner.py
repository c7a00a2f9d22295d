"""Runs psycopg2's own tests, which have to be first on the path, and prints a JSON line per test."""

from __future__ import annotations

import faulthandler
import importlib
import json
import sys
import unittest

__all__: list[str] = []


class Told(unittest.TestResult):
    """How each test ended. A line is printed as soon as it is known: a run that hangs tells where."""

    def _say(self, test: unittest.TestCase, ended: str, detail: object = "") -> None:
        print(json.dumps({"test": test.id(), "ended": ended, "detail": str(detail)[-2000:]}), flush=True)

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's own name
        super().startTest(test)
        self._say(test, "started")

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - as above
        self._say(test, "passed")

    def addFailure(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802 - as above
        self._say(test, "failed", self._text(err, test))

    def addError(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802 - as above
        self._say(test, "failed", self._text(err, test))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802 - as above
        self._say(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802 - as above
        self._say(test, "passed")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - as above
        self._say(test, "failed", "it was expected to fail")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:  # noqa: N802
        if err is not None:
            self._say(test, "failed", self._text(err, subtest))

    def _text(self, err: object, test: unittest.TestCase) -> object:
        return self._exc_info_to_string(err, test)  # type: ignore[attr-defined]


def main(seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True)
    suite = importlib.import_module("tests").test_suite()
    suite.run(Told())


if __name__ == "__main__":
    main(float(sys.argv[1]))
