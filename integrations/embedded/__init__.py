"""PostgreSQL, Redis and a Kafka-protocol broker from pip-installed packages, and the supervisor of `make run`.

Nothing in here imports Django: it runs before the settings can load, because the settings need the addresses
that it hands out.
"""
