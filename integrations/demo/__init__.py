"""`make demo`: a frontend played over HTTP: one purchase, one that is declined first, and money given back."""
