"""Business metrics: one counter of every action in the vocabulary."""

from prometheus_client import Counter

user_actions = Counter("shop_user_actions_total", "User actions counted by the analytics consumer.", ["name"])
