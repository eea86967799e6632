"""A seeded simulator of the whole money path: real services and PostgreSQL, a virtual clock, a gateway that lies."""
