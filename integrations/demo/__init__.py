"""`make demo`: a frontend played over HTTP, one purchase step by step, then one that is declined first."""
