"""A payment provider of its own, for development and tests: a separate process with its own store.

It stands for somebody else's company, so it imports nothing of the shop and the shop imports nothing of it.
"""
