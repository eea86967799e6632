"""Django's PostgreSQL backend, for connections whose statements and commits are seams of a simulation."""
