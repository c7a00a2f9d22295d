"""Certificates for these tests, and the event loop that `pgjit serve` uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from pgjit.demo.certificates import Certificates, make_certificates
from tests.run.loops import new_uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": new_uvloop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
