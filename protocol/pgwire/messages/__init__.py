"""The messages of the protocol, by phase: their values, and their bytes in both directions.

Each module decides the layout of its messages ("Message Formats" in PostgreSQL's documentation) and nothing else.
`decode_*` takes a body and raises RemoteProtocolError if it is malformed. `encode_*`, or the name of the message in
lower case, returns a whole message with its type byte and length.

| module | messages |
|---|---|
| `startup.py` | StartupMessage, SSLRequest, GSSENCRequest, CancelRequest, NegotiateProtocolVersion |
| `authentication.py` | Authentication..., PasswordMessage, SASLInitialResponse, SASLResponse, BackendKeyData |
| `query.py` | Query, and CommandComplete, ReadyForQuery, ErrorResponse, NoticeResponse, ParameterStatus ... |
| `extended.py` | Parse, Bind, Describe, Execute, Close, Sync, Flush, and their responses |
| `results.py` | RowDescription, ParameterDescription, DataRow |
| `copy.py` | CopyInResponse, CopyOutResponse, CopyBothResponse, CopyData, CopyDone, CopyFail |
| `function_call.py` | FunctionCall, FunctionCallResponse |

A reader starts in `query.py` for the simple query protocol, in `extended.py` for prepared statements.

A new message needs a value and its two functions here, its rows in `pgwire.state`, and a row in
`tests/protocol/samples.py`. This room does not know which message may come when.
"""
