import random
from pathlib import Path

from integrations.embedded.ports import any_free, is_free

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_port_for_a_server_is_free_and_none_that_is_lent_to_whoever_connects() -> None:
    first, last = map(int, LENT.read_text(encoding="ascii").split())

    ports = [any_free() for _ in range(20)]

    assert all(is_free(port=port) for port in ports)
    assert not any(first <= port <= last for port in ports)


def test_processes_that_play_the_same_seed_do_not_get_the_same_ports() -> None:
    def ports() -> list[int]:
        state = random.getstate()
        random.seed(1)
        try:
            return [any_free() for _ in range(5)]
        finally:
            random.setstate(state)

    assert ports() != ports()
