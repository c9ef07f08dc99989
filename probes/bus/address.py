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

from probes.config.errors import ConfigError, Problems
from probes.config.fields import named_variable
from probes.config.scrubbing import MASK
from probes.config.tls import check_authorities_of, check_tls
from probes.kit.child_environment import note_secret
from probes.kit.trust import UntrustedError, read_trusted

DEFAULT_PORT: Final = 4222
_SCHEMES: Final = ("nats", "tls")
_TLS_OPTIONS: Final = {"ca_file": ("--bus-ca",), "client_cert": ("--bus-certificate",)}
_MOST_BYTES: Final = 1 << 16
"""Of a .creds file, which has some thousand."""
_EXPECTED: Final = "expected nats://HOST:PORT or tls://HOST:PORT, several with commas between them"


class BusAddress(msgspec.Struct, frozen=True):
    """Servers of one bus, any of which will do."""

    servers: tuple[str, ...]
    """As the client takes them: they may hold a password."""
    shown: str
    """The same for people and records, without user, password and token."""
    credentials: str = ""
    """Path of a .creds file; empty for none."""
    authority: str = ""
    """Path of a PEM file: whoever it names may vouch for the server, and nobody else; empty where
    that is as the machine has it."""
    certificate: str = ""
    """Path of a PEM file with our certificate and its key; empty for none."""
    secrets: tuple[str, ...] = ()
    """Passwords and tokens of the servers."""

    @property
    def is_encrypted(self) -> bool:
        """Nothing is said to a server that does not speak TLS."""
        return self.servers[0].startswith("tls:")

    def __repr__(self) -> str:
        return f"BusAddress({self.shown!r})"

    def scrub(self, text: str) -> str:
        """Return a text of somebody else's without our secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def bus_address(
    text: str,
    credentials: Path | None = None,
    authority: Path | None = None,
    certificate: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> BusAddress:
    """Return the address that a person wrote.

    Raises:
        ConfigError: it is none, its variable is not set, or a file cannot be used; a line for each
            mistake.
    """
    option = "--bus"
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
    address = BusAddress(
        tuple(servers),
        ",".join(shown),
        _readable(credentials),
        "" if authority is None else str(authority),
        "" if certificate is None else str(certificate),
        tuple(secrets),
    )
    _check_files(address, option, environ)
    return address


def listed_password(text: str, address: BusAddress) -> str:
    """Return what a person should know who wrote an address into a command line; empty where that
    is nothing."""
    if not address.secrets or named_variable(text) is not None:
        return ""
    return "--bus: whoever can list processes reads its password; --bus env:NAME hides it"


def _check_files(address: BusAddress, option: str, environ: Mapping[str, str]) -> None:
    """Look at the files of TLS. Raises ConfigError."""
    problems = Problems(lambda path: path[0])
    given = {"ca_file": address.authority, "client_cert": address.certificate}
    files = {key: file for key, file in given.items() if file}
    if address.is_encrypted:
        check_tls(files, _TLS_OPTIONS, problems)
        if not address.authority:
            check_authorities_of(environ, problems)
    else:
        for key in files:
            problems.add(_TLS_OPTIONS[key], f"goes with a tls:// address in {option}")
    problems.raise_if_any()


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


def _readable(credentials: Path | None) -> str:
    if credentials is None:
        return ""
    try:
        head = read_trusted(credentials, _MOST_BYTES)
    except (OSError, UntrustedError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError((f"--bus-credentials: {credentials}: {why}",)) from None
    if b"BEGIN NATS USER JWT" not in head or b"BEGIN USER NKEY SEED" not in head:
        expected = "expected a .creds file, as `nsc generate creds` writes it"
        raise ConfigError((f"--bus-credentials: {credentials}: {expected}",))
    return str(credentials)
