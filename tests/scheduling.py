"""A pytest plugin: how xdist shares the tests out. A file stays on one worker; so do all journeys, with their stack."""

import pytest
from xdist.scheduler import LoadScopeScheduling

JOURNEYS = "tests/journeys/"


class FilesAndJourneys(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Shares out whole files, and the journeys as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return JOURNEYS if nodeid.startswith(JOURNEYS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndJourneys:
    """Give xdist this schedule, whichever `--dist` says."""
    return FilesAndJourneys(config, log)
