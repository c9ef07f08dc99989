"""Where a bus is, as a person names it: servers, with how one may speak to them.

Rule 1: a password or token in a URL goes to the server and nowhere else: whatever shows, logs or
records an address takes `shown`, and texts of others go through `scrub`.
Rule 2: what cannot be an address is one line before anything is tried.
Rule 3: `env:NAME` is the address that a variable holds: a command line is read by everybody who can
list processes. Nothing that we start has that variable.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from probes.config.errors import ConfigError
from probes.config.fields import named_variable
from probes.config.scrubbing import MASK
from probes.kit.child_environment import note_secret

DEFAULT_PORT: Final = 4222
_SCHEMES: Final = ("nats", "tls")
_EXPECTED: Final = "expected nats://HOST:PORT or tls://HOST:PORT, several with commas between them"


class BusAddress(msgspec.Struct, frozen=True):
    """Servers of one bus, any of which will do."""

    servers: tuple[str, ...]
    """As the client takes them: they may hold a password."""
    shown: str
    """The same for people and records, without user, password and token."""
    credentials: str = ""
    """Path of a .creds file; empty for none."""
    secrets: tuple[str, ...] = ()
    """Passwords and tokens of the servers."""

    @property
    def is_encrypted(self) -> bool:
        """Nothing is said to a server that does not speak TLS."""
        return self.servers[0].startswith("tls:")

    def scrub(self, text: str) -> str:
        """Return a text of somebody else's without our secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def bus_address(
    text: str,
    credentials: Path | None = None,
    *,
    option: str = "--bus",
    environ: Mapping[str, str] = os.environ,
) -> BusAddress:
    """Return the address that a person wrote.

    Raises:
        ConfigError: it is none, its variable is not set, or the credentials cannot be read; a line
            for each mistake.
    """
    variable = named_variable(text)
    if variable is not None:
        text = environ.get(variable, "").strip()
        option = f"{option} env:{variable}"
        note_secret("", variable)
        if not text:
            raise ConfigError((f"{option}: the variable is not set, {_EXPECTED}",))
    servers: list[str] = []
    shown: list[str] = []
    secrets: list[str] = []
    schemes = set()
    for number, part in enumerate((part.strip() for part in text.split(",")), start=1):
        which = option if "," not in text else f"{option}: server {number}"
        url = _parsed(part, which)
        schemes.add(url.scheme)
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        place = f"{host}:{url.port or DEFAULT_PORT}"
        userinfo = url.netloc.rpartition("@")[0]
        secrets += _secrets(url, userinfo)
        if userinfo:
            note_secret(part)
        servers.append(
            f"{url.scheme}://{userinfo}@{place}" if userinfo else f"{url.scheme}://{place}"
        )
        shown.append(f"{url.scheme}://{place}")
    if len(schemes) > 1:
        # One of them would speak in clear what the other encrypts.
        raise ConfigError((f"{option}: nats:// and tls:// exclude each other",))
    for secret in secrets:
        note_secret(secret)
    return BusAddress(
        tuple(servers), ",".join(shown), _readable(credentials, option), tuple(secrets)
    )


def _parsed(part: str, which: str) -> SplitResult:
    """Return the URL of one server. Raises ConfigError, which repeats nothing of the URL that may
    be a secret."""
    try:
        url = urlsplit(part if "://" in part else f"nats://{part}")
        port = url.port
    except ValueError as error:
        raise ConfigError((f"{which}: {error}: {_EXPECTED}",)) from None
    if url.scheme not in _SCHEMES:
        raise ConfigError((f"{which}: {url.scheme}:// is no bus, {_EXPECTED}",))
    if not url.hostname or port == 0 or url.path.strip("/") or url.query or url.fragment:
        raise ConfigError((f"{which}: that is no address of a server, {_EXPECTED}",))
    return url


def _secrets(url: SplitResult, userinfo: str) -> Sequence[str]:
    """Return what is secret in the userinfo: the password, or the token that stands alone."""
    if not userinfo:
        return ()
    found = {url.password or url.username or ""}
    return sorted({*found, *(unquote(one) for one in found)} - {""})


def _readable(credentials: Path | None, option: str) -> str:
    if credentials is None:
        return ""
    try:
        with credentials.open("rb") as file:
            head = file.read(1 << 16)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError((f"{option}-credentials: {credentials}: {why}",)) from None
    if b"BEGIN NATS USER JWT" not in head or b"BEGIN USER NKEY SEED" not in head:
        expected = "expected a .creds file, as `nsc generate creds` writes it"
        raise ConfigError((f"{option}-credentials: {credentials}: {expected}",))
    return str(credentials)
