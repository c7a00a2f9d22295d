"""The application: it opens the plug-ins that the configuration names, wires them, and closes them in order.

This room decides which parts there are, in which order they start and stop, and which plug-in a configured name
means. It is the one place that knows which providers, stores and sinks there are.

- **part**: something that is started and stopped, such as the store, the journal or the listener (`pgjit/parts.py`).
- **order**: a part needs those before it. They are stopped in the reverse order.
- **plug-in**: an implementation of a contract, listed in a dict (`PROVIDERS`, `STORES`).
- **section**: a part of the configuration file; `from_config.py` makes values of the other rooms from it.
- **drain**: after the listener stops accepting, running statements get some seconds to complete.
- **inherited socket**: one that was open before this process began, and stays open after it (`inherited_sockets.py`).
- **service manager**: systemd, which is notified of what the process does (`service_manager.py`).

Start with `application.py`: the dict in `App.__init__` is the order of everything. Each `_run_*` starts one part
before its `yield` and stops it after. `from_config.py` has what needs no running part, `http_ports.py` opens the
API and the admin port.

The room does not decide who may do what, and moves no byte of a session. Only `cli` and `demo` import it.
"""

from __future__ import annotations

from pgjit.app.application import VERSION, App

__all__ = ["VERSION", "App"]
