"""A local Entra emulator: for the demo, for the tests and for trying policies out.

`settings.py` is what it is told, `issuer.py` makes and signs tokens, `server.py` serves them over HTTP.
No real system must ever trust it: its keys are made at each start and whoever asks for a token may have one.
"""

from __future__ import annotations

from pgjit.demo.emulator.issuer import ABSENT
from pgjit.demo.emulator.server import Emulator
from pgjit.demo.emulator.settings import AppCredentials, EmulatorSettings, read_settings

__all__ = ["ABSENT", "AppCredentials", "Emulator", "EmulatorSettings", "read_settings"]
