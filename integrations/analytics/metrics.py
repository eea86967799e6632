"""Business metrics: what shoppers did, and the money it was about."""

from prometheus_client import Counter

from integrations.analytics.vocabulary import NAMES

user_actions = Counter("shop_user_actions_total", "User actions counted by the analytics consumer.", ["name"])
amounts = Counter(
    "shop_user_actions_amount_total", "The money user actions were about, in minor units.", ["name", "currency"]
)
# Shown as 0 from the start: a rate over a counter that is not there yet misses its first steps.
for _name in NAMES:
    user_actions.labels(_name)
