"""A pytest plugin: how xdist shares the tests out. A file stays on one worker; so do all journeys, with their stack.

So do all tests that need three brokers of a real Kafka.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Each of these folders has one stack, or one Kafka, for all of its files.
TOGETHER = ("tests/journeys/", "tests/ordeals/", "tests/integrations/kafka/real/")


class FilesAndJourneys(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Shares out whole files, and those that belong together as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndJourneys:
    """Give xdist this schedule, whichever `--dist` says."""
    return FilesAndJourneys(config, log)
