"""A broker that speaks the Kafka protocol: librdkafka's in-memory cluster, held by a process of its own.

It forgets everything when it stops, and it takes a new port each time: librdkafka binds it to port 0 and offers no
way to choose. Whoever depends on it must therefore be restarted with it (the supervisor does that).
"""

import ctypes
import importlib.util
import signal
import sys
from pathlib import Path

from integrations.embedded import ports
from integrations.embedded.child import Child
from integrations.embedded.errors import EmbeddedError

READY_SECONDS = 20.0
STOP_SECONDS = 5.0
BROKER_COUNT = 1
PARTITION_COUNT = 4
# A real broker waits 3 s for more members before it lets a new group work; on one machine nobody else is coming.
JOIN_DELAY_MS = 100
# Consumers do not create topics, and the mock cluster has no topic administration: the topics exist from the start.
TOPICS = (
    "order.created",
    "order.paid",
    "order.cancelled",
    "order.expired",
    "order.fulfilled",
    "order.refund_due",
    "payment.success",
    "payment.failed",
    "refund.succeeded",
    "refund.rejected",
    "refund.reversed",
    "analytics.events",
)


class KafkaBroker:
    """One in-memory broker on the loopback address."""

    name = "kafka"

    def __init__(self, *, state_dir: Path) -> None:
        """Describe the broker, which writes its address into `state_dir/kafka` once it is up."""
        self._address_file = state_dir / "kafka" / "address"
        self._log_file = state_dir / "logs" / "kafka.log"
        self.bootstrap_servers = ""
        self.child: Child | None = None

    def start(self) -> None:
        """Start the broker and return once it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the broker without waiting for it."""
        self._address_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._address_file.unlink(missing_ok=True)
        command = [__name__, str(self._address_file)]
        self.child = Child(name=self.name, command=command, log_file=self._log_file, is_python=True)
        self.child.start()

    def wait_until_ready(self) -> None:
        """Return once the broker's address is known and accepts connections; raise NotReady otherwise."""
        if self.child is not None:
            self.child.wait_until(self._answers, timeout_seconds=READY_SECONDS)
            self.bootstrap_servers = self._address_file.read_text(encoding="ascii").strip()

    def stop(self) -> None:
        """Stop the broker; what was not consumed is gone."""
        if self.child is not None:
            self.child.stop(timeout_seconds=STOP_SECONDS)

    def _answers(self) -> bool:
        if not self._address_file.exists():
            return False
        _, _, port = self._address_file.read_text(encoding="ascii").strip().rpartition(":")
        return ports.accepts(port=int(port))


def hold_cluster() -> str:
    """Create the cluster and its topics inside this process and return its address, `host:port`.

    The public setting `test.mock.num.brokers` would create a cluster too, but without a way to set the join delay.
    So this calls librdkafka's C functions (rdkafka_mock.h) in the library that the Python client brings along.
    """
    library = _librdkafka()
    reason = ctypes.create_string_buffer(512)
    producer = library.rd_kafka_new(0, library.rd_kafka_conf_new(), reason, len(reason))
    if not producer:
        raise EmbeddedError(f"librdkafka refused to start: {reason.value.decode()}")
    cluster = library.rd_kafka_mock_cluster_new(producer, BROKER_COUNT)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, JOIN_DELAY_MS)
    for topic in TOPICS:
        library.rd_kafka_mock_topic_create(cluster, topic.encode(), PARTITION_COUNT, BROKER_COUNT)
    address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return address.decode("ascii")


def _librdkafka() -> ctypes.CDLL:
    spec = importlib.util.find_spec("confluent_kafka.cimpl")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "confluent-kafka is not installed; install requirements.txt, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    # Symbols are looked up in everything the extension is linked with: the wheel's private library needs no name here.
    library = ctypes.CDLL(spec.origin)
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    return library


def main(address_file: Path) -> None:
    """Hold a cluster until SIGTERM, with its address in `address_file`."""
    # Blocked before librdkafka starts its threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    draft = address_file.with_suffix(".draft")
    draft.write_text(hold_cluster() + "\n", encoding="ascii")
    draft.replace(address_file)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
