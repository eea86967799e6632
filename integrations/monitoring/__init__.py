"""What waits, for Prometheus and for the admin's first page: asked of the database, where it is true whatever died."""

from integrations.monitoring.figures import Figures, figures
from integrations.monitoring.gauges import Standing

__all__ = ["Figures", "Standing", "figures"]
