"""The three servers the shop needs: given by address, or started here."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integrations.embedded.kafka import PARTITION_COUNT, KafkaBroker
from integrations.embedded.postgres import PostgresServer
from integrations.embedded.redis import RedisServer
from integrations.embedded.state import locked_state, publish_environment

Service = PostgresServer | RedisServer | KafkaBroker


# The embedded broker forgets when it stops: what it may have lost is told again, and the inbox removes what was not.
# It settles a group anew only when the session of a lost member has run out; a real one refuses so short a time.
_FOR_THE_EMBEDDED_BROKER = {
    "KAFKA_REPUBLISH_AT_BOOT_SECONDS": "3600",
    "KAFKA_SESSION_TIMEOUT_MS": "3000",
    "KAFKA_TOPIC_PARTITIONS": str(PARTITION_COUNT),
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the three servers are, in the form the settings read them."""

    database_url: str
    redis_url: str
    kafka_bootstrap_servers: str
    kafka_is_embedded: bool = False

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables that name these addresses."""
        addresses = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
        }
        return addresses | _FOR_THE_EMBEDDED_BROKER if self.kafka_is_embedded else addresses


class Services:
    """Those of the three servers that nobody gave by address."""

    def __init__(self, *, state_dir: Path, durable: bool = True, environment: Mapping[str, str] = os.environ) -> None:
        """Start nothing yet; a server named in `environment` (`DATABASE_URL` and so on) is used and not started."""
        given = environment
        self._postgres = None if given.get("DATABASE_URL") else PostgresServer(state_dir=state_dir, durable=durable)
        self._redis = None if given.get("REDIS_URL") else RedisServer(state_dir=state_dir, durable=durable)
        self._kafka = None if given.get("KAFKA_BOOTSTRAP_SERVERS") else KafkaBroker(state_dir=state_dir)
        self._given = given

    @property
    def embedded(self) -> tuple[Service, ...]:
        """The servers that are ours to start, watch and stop; PostgreSQL last, because it takes longest to launch."""
        return tuple(service for service in (self._redis, self._kafka, self._postgres) if service is not None)

    @property
    def database_is_fresh(self) -> bool:
        """Whether this start made the database, or nobody here knows: it was given by address."""
        return self._postgres is None or self._postgres.is_fresh

    @property
    def addresses(self) -> Addresses:
        """Where all three are; known once they are ready."""
        return Addresses(
            database_url=self._postgres.url if self._postgres else self._given["DATABASE_URL"],
            redis_url=self._redis.url if self._redis else self._given["REDIS_URL"],
            kafka_bootstrap_servers=(
                self._kafka.bootstrap_servers if self._kafka else self._given["KAFKA_BOOTSTRAP_SERVERS"]
            ),
            kafka_is_embedded=self._kafka is not None,
        )

    def start(self) -> None:
        """Start all of them side by side and return once every one answers; raise NotReady otherwise."""
        for service in self.embedded:
            service.launch()
        for service in self.embedded:
            service.wait_until_ready()

    def stop(self) -> None:
        """Ask all of them to stop, then wait for each; one that takes too long is killed."""
        for service in self.embedded:
            if service.child is not None:
                service.child.ask_to_stop()
        for service in self.embedded:
            service.stop()


@contextmanager
def embedded_services(state_dir: Path, *, durable: bool = True) -> Iterator[Addresses]:
    """Run the three servers while the block runs, with their data in `state_dir`, and yield where they are.

    Call it from the main thread: the servers die with the thread that started them. With `durable=False` (tests) a
    crash of the machine may lose data. Raises AlreadyRunning if the folder is in use, EmbeddedError if a server cannot
    be started.
    """
    with locked_state(state_dir=state_dir) as folder:
        services = Services(state_dir=folder, durable=durable)
        try:
            services.start()
            publish_environment(state_dir=folder, environment=services.addresses.as_environment())
            yield services.addresses
        finally:
            services.stop()
