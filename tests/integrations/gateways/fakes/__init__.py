"""Stand-ins for providers that tests cannot call: real HTTP servers with a memory, after the public documentation."""
