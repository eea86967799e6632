"""Tokens signed with a key pair, as a production that publishes its public key has them."""

import hmac
import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shop.kernel.auth import tokens
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id

PROJECT = Path(__file__).resolve().parents[4]

# Settings are read once a process, so these tests ask another one.
SCRIPT = """
import json, sys
import django
django.setup()
from shop.kernel.auth import tokens
from shop.kernel.auth.dto import Caller
from shop.kernel.clock import utc_now
from shop.kernel.ids import new_id

signed = tokens.sign_access(caller=Caller(id=new_id(), guest=True, staff=False), stamp="x", now=utc_now())
believed = {}
for name, text in json.loads(sys.argv[1]).items():
    try:
        believed[name] = bool(tokens.read_access(text))
    except tokens.TokenNotOurs:
        believed[name] = False
print(json.dumps({
    "signed": signed, "own": tokens.read_access(signed).caller.guest, "jwk": tokens.public_key(), "believed": believed,
}))
"""


@dataclass(frozen=True)
class KeyPair:
    private: str
    public: str

    @classmethod
    def made(cls) -> "KeyPair":
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(private.decode(), public.decode())


def ask(pair: KeyPair, *, verifying: str, to_read: dict[str, str]) -> dict[str, Any]:
    environment = {
        **os.environ,
        "JWT_ALGORITHM": "RS256",
        "JWT_SIGNING_KEY": pair.private.replace("\n", "\\n"),
        "JWT_VERIFYING_KEY": verifying.replace("\n", "\\n"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(to_read)],
        env=environment, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def claims() -> dict[str, Any]:
    now = int(utc_now().timestamp())
    return {
        "sub": str(new_id()), "jti": "x", "iat": now, "exp": now + 60,
        "iss": "shop", "aud": "shop-frontend", "token_type": "access",
    }  # fmt: skip


def confused(public: str) -> str:
    """Sign as in the classic attack: with the public key, which all know, as if it were a shared secret."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, claims())]
    signature = hmac.digest(public.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize("with_public_key", [True, False])
def test_anybody_verifies_our_tokens_with_the_published_key(with_public_key: bool) -> None:
    ours, other = KeyPair.made(), KeyPair.made()

    answer = ask(
        ours,
        verifying=ours.public if with_public_key else "",
        to_read={
            "ours": jwt.encode(claims(), ours.private, "RS256"),
            "another's": jwt.encode(claims(), other.private, "RS256"),
            "confused": confused(ours.public),
        },
    )

    assert answer["own"] is True
    assert answer["believed"] == {"ours": True, "another's": False, "confused": False}
    jwk = answer["jwk"]
    assert set(jwk) == {"kty", "n", "e", "kid", "use", "alg"}
    assert jwt.get_unverified_header(answer["signed"])["kid"] == jwk["kid"]
    verified = jwt.decode(
        answer["signed"], jwt.PyJWK(jwk).key, algorithms=["RS256"], audience="shop-frontend", issuer="shop"
    )
    assert verified["guest"] is True


def test_claims_come_back_as_they_were_signed() -> None:
    caller = Caller(id=new_id(), guest=True, staff=False)
    access = tokens.sign_access(caller=caller, stamp="stamp", now=utc_now())
    link = tokens.RefreshClaims(user_id=caller.id, family_id=new_id(), jti=tokens.new_jti(), stamp="stamp")
    refresh = tokens.sign_refresh(claims=link, now=utc_now())

    assert tokens.read_access(access) == tokens.AccessClaims(caller=caller, stamp="stamp")
    assert tokens.read_refresh(refresh) == link
    assert set(jwt.decode(access, options={"verify_signature": False})) == {
        "sub", "guest", "staff", "jti", "iat", "exp", "iss", "aud", "token_type", "hash_password",
    }  # fmt: skip


def test_ours_are_not_too_long_for_us() -> None:
    caller = Caller(id=new_id(), guest=True, staff=True)

    assert len(tokens.sign_access(caller=caller, stamp="x" * 32, now=utc_now())) < tokens.LONGEST_TOKEN / 4


def test_a_token_that_is_remembered_still_ends() -> None:
    caller = Caller(id=new_id(), guest=True, staff=False)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with time_machine.travel(noon, tick=False) as clock:
        access = tokens.sign_access(caller=caller, stamp="stamp", now=noon)
        clock.shift(599)
        assert tokens.read_access(access).caller == caller

        clock.shift(1)
        with pytest.raises(tokens.TokenExpired):
            tokens.read_access(access)
