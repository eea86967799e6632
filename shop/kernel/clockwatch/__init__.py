"""Whether the clock can be believed before anything is ended because of it."""
