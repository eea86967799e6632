from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class KafkaConfig(AppConfig):
    """The relay, the consumers, what they set aside, and replays."""

    name = "integrations.kafka"
    label = "kafka"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load every context's `events`: a type that nobody has imported could not be read back."""
        autodiscover_modules("events")
