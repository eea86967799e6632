"""The tricks by which an address leads inside, one by one."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from integrations.webhooks.addresses import Rules, allowed_addresses, is_public, parse
from notifications.ports import AddressRefused, NoAnswer

PRODUCTION = Rules(ports=(443, 8443), loopback=False)
DEVELOPMENT = Rules(ports=(443, 8443), loopback=True)


def names(monkeypatch: pytest.MonkeyPatch, **leading_to: list[str]) -> list[str]:
    """Let names lead to addresses; return the list of names that are asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = leading_to.get(host.partition(".")[0])
        if found is None:
            raise socket.gaierror("Name or service not known")
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://shop.example.com", (True, "shop.example.com", 443, "/")),
        ("https://shop.example.com/a/b?c=d&e=%20", (True, "shop.example.com", 443, "/a/b?c=d&e=%20")),
        ("https://shop.example.com?x=1", (True, "shop.example.com", 443, "/?x=1")),
        ("https://Shop.Example.COM:8443/", (True, "shop.example.com", 8443, "/")),
        ("http://127.0.0.1:9000/hooks", (False, "127.0.0.1", 9000, "/hooks")),
        ("http://127.0.0.1:1/", (False, "127.0.0.1", 1, "/")),
        ("http://127.0.0.1:65535/", (False, "127.0.0.1", 65_535, "/")),
        ("https://[2606:4700::1111]/x", (True, "2606:4700::1111", 443, "/x")),
        ("https://xn--bcher-kva.example/ok@here", (True, "xn--bcher-kva.example", 443, "/ok@here")),
    ],
)
def test_an_address_is_taken_apart(url: str, parts: tuple[bool, str, int, str]) -> None:
    target = parse(url)

    assert (target.encrypted, target.host, target.port, target.target) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example.com",
        "//shop.example.com",
        "ftp://shop.example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "HTTPS://shop.example.com/",
        "https:shop.example.com",
        "https:///shop.example.com",
        "https://",
        "https://user@shop.example.com/",
        "https://user:password@shop.example.com/",
        "https://shop.example.com@127.0.0.1/",
        "https://shop.example.com\\@127.0.0.1/",
        "https://shop.example.com\\127.0.0.1/",
        "https://127.0.0.1#shop.example.com/",
        "https://shop.example.com/#x",
        "https://shop.example.com:/",
        "https://shop.example.com:443:8443/",
        "https://shop.example.com:443443/",
        "https://shop.example.com:-1/",
        "https://shop.example.com:0/",
        "http://127.0.0.1:0/hooks",
        "http://127.0.0.1:00000/hooks",
        "http://127.0.0.1:65536/hooks",
        "http://127.0.0.1:99999/hooks",
        "https://shop.example.com /",
        " https://shop.example.com/",
        "https://shop.example.com/\n",
        "https://shop.example.com/a\r\nX-Injected: yes",
        "https://shop.example.com/\x00",
        "https://shop.example.com/a b",
        "https://bücher.example/",
        "https://shop。example.com/",
        "https://①②⑦.0.0.1/",
        "https://[::1",
        "https://::1/",
        "https://[fe80::1%25eth0]/",
        "https://shop%2eexample.com/",
        "https://" + "a" * 254 + "/",
        "https://shop.example.com/" + "a" * 2_000,
    ],
)
def test_what_parsers_disagree_about_is_no_address(url: str) -> None:
    with pytest.raises(AddressRefused):
        parse(url)


@pytest.mark.parametrize("text", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a01:4f8::1", "64:ff9b::808:808"])
def test_addresses_of_the_world_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 169.254.170.2 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 100.100.100.200 168.63.129.16
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
    64:ff9b:1::7f00:1 100::1 2001::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1
    fd00:ec2::254 fd20:ce::254 fe80::1 fe80::a9fe:a9fe fec0::1 ff02::1 ff0e::1
    """.split(),
)
def test_addresses_inside_and_of_no_network_are_not(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0xa9fea9fe/",
        "https://[fd00:ec2::254]/",
    ],
)
def test_however_it_is_written_what_it_leads_to_is_judged(url: str) -> None:
    # The machine's own resolver reads these: nothing is patched here.
    with pytest.raises(AddressRefused, match="not public"):
        allowed_addresses(parse(url), rules=PRODUCTION)


def test_a_name_that_leads_inside_is_refused_and_does_not_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, intranet=["10.1.2.3"])

    with pytest.raises(AddressRefused) as refused:
        allowed_addresses(parse("https://intranet.example.com/"), rules=PRODUCTION)

    assert "10.1.2.3" not in str(refused.value)


def test_one_inner_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, both=["93.184.215.14", "10.0.0.1"])

    with pytest.raises(AddressRefused):
        allowed_addresses(parse("https://both.example.com/"), rules=PRODUCTION)


def test_a_public_name_gives_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, good=["93.184.215.14", "2606:4700::1111", "93.184.215.14"])

    found = allowed_addresses(parse("https://good.example.com/"), rules=PRODUCTION)

    assert [str(address) for address in found] == ["93.184.215.14", "2606:4700::1111"]


@pytest.mark.parametrize("rules", [PRODUCTION, DEVELOPMENT])
def test_without_tls_nothing_leaves_the_house(monkeypatch: pytest.MonkeyPatch, rules: Rules) -> None:
    names(monkeypatch, good=["93.184.215.14"])

    with pytest.raises(AddressRefused, match="https only"):
        allowed_addresses(parse("http://good.example.com/"), rules=rules)


@pytest.mark.parametrize("port", [22, 25, 80, 5432, 6379, 9092, 65535, 99999])
def test_only_ports_of_web_servers_are_called(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    names(monkeypatch, good=["93.184.215.14"])

    with pytest.raises(AddressRefused, match="Port"):
        allowed_addresses(parse(f"https://good.example.com:{port}/"), rules=PRODUCTION)


def test_a_name_without_address_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch)

    with pytest.raises(NoAnswer, match="cannot be resolved"):
        allowed_addresses(parse("https://nowhere.example.com/"), rules=PRODUCTION)


def test_in_development_loopback_is_allowed_and_nothing_else_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed_addresses(parse("http://127.0.0.1:9999/"), rules=DEVELOPMENT) == [ip_address("127.0.0.1")]
    names(monkeypatch, trick=["127.0.0.1", "10.0.0.1"], inside=["192.168.0.1"])

    for url in ("https://trick.example.com/", "https://inside.example.com/"):
        with pytest.raises(AddressRefused):
            allowed_addresses(parse(url), rules=DEVELOPMENT)
