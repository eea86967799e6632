import random
import socket
import subprocess
import sys
from pathlib import Path

from integrations.embedded.child import PROJECT_ROOT
from integrations.embedded.ports import LOOPBACK, accepts, any_free, is_free

# Another process, which comes across a port that somebody has found before any other.
SEEKER = """
import secrets, sys
from integrations.embedded.ports import any_free
proposals, choose = [int(sys.argv[1])], secrets.choice
secrets.choice = lambda among: proposals.pop() if proposals else choose(among)
print(any_free(), len(proposals))
"""
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


def test_a_port_that_was_found_is_found_by_nobody_else_before_its_server_has_begun() -> None:
    found = any_free()

    by_another = subprocess.check_output([sys.executable, "-c", SEEKER, str(found)], cwd=PROJECT_ROOT, text=True)

    port, unseen = map(int, by_another.split())
    assert (port != found, unseen) == (True, 0)
    with socket.create_server((LOOPBACK, found)):
        assert accepts(port=found)
