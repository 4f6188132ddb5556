"""Where URLs may lead: odd spellings are no URLs, and private addresses are seen in every disguise."""

from __future__ import annotations

import ipaddress

import pytest

from server.media.address import is_listed, is_public, read_target


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.org/a.png", "example.org", 80),
        ("https://EXAMPLE.org:8443/a?b=c#d", "example.org", 8443),
        ("https://93.184.216.34/", "93.184.216.34", 443),
        ("https://[2606:2800:220:1::1]/a", "2606:2800:220:1::1", 443),
    ],
)
def test_plain_urls(url: str, host: str, port: int) -> None:
    target = read_target(url)
    assert target is not None
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://example.org/",
            "gopher://example.org/",
            "//example.org/a",
            "a.png",
            "",
        ),
        *("http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/"),
        *("http://0x7f.0.0.1/", "http://1.2.3.0x4/", "http://example.1/", "http://127.0.0.1./"),
        *("https:\\\\evil\\a.png", "http://example.org\\@127.0.0.1/", "http:/example.org/", "http:///a"),
        *("http://user:pw@example.org/", "http://example.org@127.0.0.1/", "http://example.org:99999/"),
        *(
            "http://exa mple.org/",
            "http://example.org/\r\nhost: x",
            "http://ex\tample.org/",
            "http://①②⑦.0.0.1/",
        ),
        *("http://[::1", "http://[fe80::1%25eth0]/", "http://[127.0.0.1]/", "http://%31%32%37.0.0.1/"),
        *("http://-a.org/", "http://example..org/", "http://.org/", "http://" + "a" * 3000 + ".org/"),
        "http://example.org:80:80/",
    ],
)
def test_what_is_no_url_to_everybody(url: str) -> None:
    assert read_target(url) is None


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "239.1.1.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "::127.0.0.1", "2001:0:7f00:1::"),
    ],
)
def test_private_addresses_in_every_disguise(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111"])
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_the_allow_list_matches_whole_labels() -> None:
    hosts = ("cdn.example.org", ".images.net")
    assert is_listed("cdn.example.org", hosts)
    assert is_listed("images.net", hosts)
    assert is_listed("a.b.images.net", hosts)
    assert not is_listed("example.org", hosts)
    assert not is_listed("evilimages.net", hosts)
    assert not is_listed("cdn.example.org.evil.com", hosts)
    assert is_listed("anything", ())
