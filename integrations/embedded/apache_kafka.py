"""A real Apache Kafka (KRaft, from Maven Central): one broker, or three that keep each record three times.

Unlike the embedded broker it keeps what it was told when it stops, answers administration, and takes seconds to start.

    with apache_kafka(folder, brokers=3) as cluster:
        ... cluster.bootstrap_servers ...
        cluster.brokers[1].kill()
        cluster.brokers[1].start()

Start it from the main thread: the brokers die with the thread that started them (see `leash`).
"""

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from integrations.embedded import maven, ports
from integrations.embedded.child import Child
from integrations.embedded.signals import rest

VERSION = "4.3.1"
ARTIFACTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")
# Small enough for three beside everything else. The quick compiler alone saves 2 of 5 seconds of CPU at each start.
JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
FORMAT_SECONDS = 60.0
READY_SECONDS = 90.0
STOP_SECONDS = 20.0
ASK_SECONDS = 2.0
WATCH_SECONDS = 0.2
# Copies of each partition, where there are as many brokers, and how many must have a record before it is acknowledged.
COPIES = 3
COPIES_IN_SYNC = 2


class Broker:
    """One broker, which is a controller too; it keeps its ports and its data when it is stopped or killed."""

    def __init__(self, *, number: int, cluster_folder: Path) -> None:
        """Describe the broker whose data lives in `cluster_folder/broker-<number>`."""
        self.number = number
        self.name = f"kafka-{number}"
        self.folder = cluster_folder / f"broker-{number}"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = ports.kept_port(memory=self.folder / "port")
        self.controller_port = ports.kept_port(memory=self.folder / "controller-port")
        self._log_file = cluster_folder / "logs" / f"{self.name}.log"
        self._configuration = self.folder / "server.properties"
        self.child = Child(name=self.name, command=[], log_file=self._log_file)

    @property
    def address(self) -> str:
        """Where clients reach it: `host:port`."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id since the last start."""
        if self.child.pid is None:
            raise self.child.not_ready(reason="was never started")
        return self.child.pid

    def configure(self, properties: Mapping[str, str]) -> None:
        """Write down the properties that are the same for all brokers, and this one's own."""
        own = {
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{ports.LOOPBACK}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.folder / "data"),
        }
        lines = [f"{name}={value}" for name, value in {**properties, **own}.items()]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def formatting(self, *, cluster_id: str) -> Child | None:
        """Start to format the storage and return the process that does it; None if that was done before."""
        if (self.folder / "data" / "meta.properties").exists():
            return None
        options = [f"--cluster-id={cluster_id}", "--ignore-formatted", "--config", str(self._configuration)]
        command = _java_command("kafka.tools.StorageTool", "format", *options)
        formatter = Child(name=f"{self.name} format", command=command, log_file=self._log_file)
        formatter.start()
        return formatter

    def start(self) -> None:
        """Start the broker, or start it again, and return once it answers and belongs to the cluster."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the broker without waiting for it."""
        self.child.command = _java_command("kafka.Kafka", str(self._configuration))
        self.child.start()

    def wait_until_ready(self, *, brokers: int = 1) -> None:
        """Return once the broker counts itself, and so many in all, among the living; raise NotReady otherwise."""

        def is_ready() -> bool:
            known = self.known_brokers()
            return self.number in known and len(known) >= brokers

        self.child.wait_until(is_ready, timeout_seconds=READY_SECONDS)

    def stop(self) -> None:
        """Stop the broker in order: its partitions are led by others first."""
        self.child.stop(timeout_seconds=STOP_SECONDS)

    def kill(self) -> None:
        """End the broker now, as `kill -9` does."""
        self.child.kill()

    def known_brokers(self) -> frozenset[int]:
        """Return the numbers of the brokers this one believes to be alive; none if it does not answer."""
        if not ports.accepts(port=self.port):
            return frozenset()
        asker = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            return frozenset(asker.list_topics(timeout=ASK_SECONDS).brokers)
        except KafkaException:
            return frozenset()


class Cluster:
    """One broker or several, in one folder."""

    def __init__(self, *, folder: Path, brokers: int = 1, properties: Mapping[str, str] | None = None) -> None:
        """Describe the cluster; `properties` are Kafka's own settings of brokers, beside those given here."""
        self._folder = folder.absolute()
        self._properties = properties or {}
        self.brokers = tuple(Broker(number=number, cluster_folder=self._folder) for number in range(1, brokers + 1))

    @property
    def bootstrap_servers(self) -> str:
        """The address in the form that `KAFKA_BOOTSTRAP_SERVERS` takes."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def copies(self) -> int:
        """How often each record is kept; what `KAFKA_TOPIC_REPLICATION` may be."""
        return min(COPIES, len(self.brokers))

    def start(self) -> None:
        """Start all brokers side by side and return once each of them knows all others; raise NotReady otherwise."""
        for broker in self.brokers:
            broker.configure({**self._common(), **self._properties})
        self._format()
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_until_ready(brokers=len(self.brokers))

    def watch(self) -> None:
        """Return never; raise NotReady once a broker ends by itself."""
        while True:
            for broker in self.brokers:
                if not broker.child.is_running:
                    raise broker.child.not_ready(reason=f"ended with status {broker.child.exit_status}")
            rest(WATCH_SECONDS)

    def stop(self) -> None:
        """Ask all brokers to stop, then wait for each; one that takes too long is killed, which loses nothing."""
        for broker in self.brokers:
            broker.child.ask_to_stop()
        for broker in self.brokers:
            broker.stop()

    def _format(self) -> None:
        identity = self._folder / "cluster-id"
        if not identity.exists():
            identity.write_text(
                base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="), encoding="ascii"
            )
        cluster_id = identity.read_text(encoding="ascii")
        for formatter in [broker.formatting(cluster_id=cluster_id) for broker in self.brokers]:
            if formatter is not None and (status := formatter.wait(timeout_seconds=FORMAT_SECONDS)) != 0:
                raise formatter.not_ready(reason=f"ended with status {status}")

    def _common(self) -> dict[str, str]:
        copies, in_sync = str(self.copies), str(min(COPIES_IN_SYNC, self.copies))
        voters = (f"{broker.number}@{ports.LOOPBACK}:{broker.controller_port}" for broker in self.brokers)
        return {
            "process.roles": "broker,controller",
            "controller.quorum.voters": ",".join(voters),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            # Topics have the partitions that the shop's settings say, or they are not there.
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            # A handful of groups; fifty partitions for their offsets would only make the first start longer.
            "offsets.topic.num.partitions": "4",
            # A killed broker comes back when the cluster has noticed that it was gone; 9 s are for slower networks.
            "broker.session.timeout.ms": "5000",
            "broker.heartbeat.interval.ms": "1000",
            # On one machine no other member of a group is on its way.
            "group.initial.rebalance.delay.ms": "100",
        }


def _java_command(*program: str) -> Sequence[str]:
    java = maven.java()
    jars = maven.class_path(name=f"kafka-{VERSION}", artifacts=ARTIFACTS)
    return [java, *JVM, *LOGGING, "-cp", jars, *program]


@contextmanager
def apache_kafka(folder: Path, *, brokers: int = 1, properties: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Run a Kafka of so many brokers while the block runs, with its data and logs in `folder`.

    Raises NoJava without Java and Maven, NotReady if a broker does not start.
    """
    cluster = Cluster(folder=folder, brokers=brokers, properties=properties)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
