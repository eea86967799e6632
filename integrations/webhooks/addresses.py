"""Which addresses the shop calls on a stranger's behalf: public ones, and none inside (server-side request forgery)."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from notifications.ports import AddressRefused, NoAnswer

HTTP_PORT = 80
HTTPS_PORT = 443
HIGHEST_PORT = 65_535
LONGEST_URL = 2_000
# One strict form instead of a parser's opinion: no user, no fragment, no control sign, no backslash, ASCII only.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>(?=[^/:?]{1,253}(?:[/:?]|\Z))[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?)"
)
# What `is_global` takes for public although nobody out there answers there, or somebody inside does.
_NOT_PUBLIC_4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; metadata of Oracle's cloud stands in it
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # Azure's machines talk to their host here
)
# Of IPv6 only what is handed out to networks of the world counts, but for:
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = (
    IPv6Network("2001::/23"),  # protocol assignments: Teredo, benchmarks, ORCHID
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address in disguise
    IPv6Network("3fff::/20"),  # documentation
)
# In networks that have IPv6 only every IPv4 host appears here (RFC 6052), so what is inside is judged.
_NAT64 = IPv6Network("64:ff9b::/96")

IPAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address in parts; `host` is a name or an IP address without brackets, `target` path and query."""

    encrypted: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = HTTPS_PORT if self.encrypted else HTTP_PORT
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is allowed. On a developer's machine `loopback` allows it at any port, and without TLS there."""

    ports: Sequence[int]
    loopback: bool


def parse(url: str) -> Target:
    """Take an address apart; AddressRefused when it is not one, strictly."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None:
        raise AddressRefused(
            "An address looks like https://shop.example.com/hooks: ASCII signs, no user, no fragment, "
            f"at most {LONGEST_URL} signs."
        )
    encrypted = found["scheme"] == "https"
    port = int(found["port"]) if found["port"] else HTTPS_PORT if encrypted else HTTP_PORT
    if not 1 <= port <= HIGHEST_PORT:
        raise AddressRefused(f"Port {port} does not exist: ports go from 1 to {HIGHEST_PORT}.")
    target = found["target"] if found["target"].startswith("/") else f"/{found['target']}"
    return Target(encrypted=encrypted, host=found["host"].strip("[]").lower(), port=port, target=target)


def allowed_addresses(target: Target, *, rules: Rules) -> list[IPAddress]:
    """Resolve the name and return its addresses, all of them checked.

    AddressRefused when one of them is not allowed: a name with a public and an inner address is a trick, not a mistake.
    NoAnswer when the name has no address.
    """
    found = _resolve(target)
    if rules.loopback and all(address.is_loopback for address in found):
        return found
    if not target.encrypted:
        raise AddressRefused("Webhooks are sent over https only.")
    if target.port not in rules.ports:
        raise AddressRefused(f"Port {target.port} is not one of {', '.join(map(str, rules.ports))}.")
    if not all(is_public(address) for address in found):
        # Which address it is stays unsaid: the answer must not map the inside for whoever asks.
        raise AddressRefused(f"{target.host} leads to an address that is not public.")
    return found


def is_public(address: IPAddress) -> bool:
    """Tell whether an address belongs to the world and to no network, machine or purpose of its own."""
    if isinstance(address, IPv4Address):
        return (
            address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC_4)
        )
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def _resolve(target: Target) -> list[IPAddress]:
    try:
        # The machine's own resolver, as it resolves for everybody: it also reads 127.1 and 0x7f000001.
        infos = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAnswer(f"{target.host} cannot be resolved: {error}") from error
    return list(dict.fromkeys(ip_address(info[4][0]) for info in infos))
