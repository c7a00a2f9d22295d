"""The PostgreSQL wire protocol, version 3.0, sans-IO: bytes in, messages out.

No socket, no event loop, no clock. `messages` holds the values and their bytes, `framing` cuts a stream into
frames, `state` says which may come when.
"""
