"""A pytest plugin: how xdist shares the tests out. A file stays on one worker; so do all journeys, with their stack."""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Each of these folders has one stack for all of its files.
JOURNEYS = ("tests/journeys/", "tests/ordeals/")


class FilesAndJourneys(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Shares out whole files, and the journeys as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in JOURNEYS if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndJourneys:
    """Give xdist this schedule, whichever `--dist` says."""
    return FilesAndJourneys(config, log)
