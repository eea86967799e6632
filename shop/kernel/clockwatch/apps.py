from django.apps import AppConfig


class ClockwatchConfig(AppConfig):
    """What the clocks showed when something was last ended by them."""

    name = "shop.kernel.clockwatch"
    label = "clockwatch"
    default_auto_field = "django.db.models.BigAutoField"
