"""The messages, by the phase they belong to: startup, authentication, query, extended query."""
