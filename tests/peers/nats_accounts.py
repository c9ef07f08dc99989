"""A NATS operator with one account and one user, as `nsc` makes them: JWTs signed with nkeys."""

import os
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

import msgspec
import nkeys

_LIMITS: Final = (
    *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
    *("mem_storage", "disk_storage", "streams", "consumer"),
)


def _pair(prefix: int) -> tuple[Any, str, bytes]:
    """Return a pair of keys, its public key, and its seed."""
    seed = bytes(nkeys.encode_seed(os.urandom(32), prefix))
    pair = nkeys.from_seed(bytearray(seed))
    return pair, bytes(pair.public_key).decode(), seed


def _plain(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(issuer: Any, by: str, subject: str, name: str, nats: dict[str, Any]) -> str:
    claims = {
        "jti": f"{name}-{time.time_ns()}",
        "iat": int(time.time()),
        "iss": by,
        "sub": subject,
        "name": name,
        "nats": {"version": 2} | nats,
    }
    head = _plain(msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"}))
    body = f"{head}.{_plain(msgspec.json.encode(claims))}"
    return f"{body}.{_plain(bytes(issuer.sign(body.encode())))}"


def with_accounts(folder: Path) -> tuple[list[str], Path]:
    """Return the options of a server that trusts an operator, and the .creds file of its user."""
    operator, operator_id, _ = _pair(nkeys.PREFIX_BYTE_OPERATOR)
    account, account_id, _ = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
    _, user_id, seed = _pair(nkeys.PREFIX_BYTE_USER)
    operator_jwt = _signed(operator, operator_id, operator_id, "O", {"type": "operator"})
    # JetStream speaks to itself by an account of the system's.
    _, system_id, _ = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
    system_jwt = _signed(operator, operator_id, system_id, "SYS", {"type": "account"})
    limits = {"type": "account", "limits": dict.fromkeys(_LIMITS, -1) | {"wildcards": True}}
    account_jwt = _signed(operator, operator_id, account_id, "A", limits)
    free = {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    user_jwt = _signed(account, account_id, user_id, "U", {"type": "user"} | free)
    config = folder / "accounts.conf"
    config.write_text(
        f"operator: {operator_jwt}\nresolver: MEMORY\n"
        f"system_account: {system_id}\n"
        f"resolver_preload: {{ {account_id}: {account_jwt}, {system_id}: {system_jwt} }}\n"
    )
    credentials = folder / "user.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return ["-c", str(config)], credentials
