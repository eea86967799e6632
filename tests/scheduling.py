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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and waits most: the others fill the gaps beside it."""
    items.sort(key=lambda item: not item.nodeid.startswith(TOGETHER))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndJourneys:
    """Give xdist this schedule, whichever `--dist` says, in the order of the collection."""
    config.option.loadscopereorder = False
    return FilesAndJourneys(config, log)
