"""Past events once more, from the log and not from Kafka: what a consumer never handled, or what can be made anew.

`healing` delivers what was never handled, and dead letters; `rebuilding` makes an effect anew; `retelling` sends events
onto their topics again, for a consumer of somebody else's. `audit` keeps who did what, and where it goes on.
"""
