"""The messages, by phase: startup, authentication, query, extended query, results, COPY, function call."""
