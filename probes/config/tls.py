"""The files of a route's `tls` setting: found beside routes.toml, tried before they are used."""

import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from probes.config.errors import KeyPath, Problems, shown
from probes.config.settings import Route
from probes.config.urls import read_url
from probes.kit.paths import PathError, path_of
from probes.kit.trust import UntrustedError, read_trusted
from probes.kit.words import quoted

TLS_FILES: Final = ("ca_file", "client_cert", "client_key")
_MOST_PEM_BYTES: Final = 16_000_000
"""The bundles of all public authorities have 0.3 MB."""
_ENCRYPTED: Final = "is encrypted; expected a key without a password"


class EncryptedKeyError(ValueError):
    """A key is encrypted."""


def no_password() -> str:
    """Stand where OpenSSL would ask the terminal for a password.

    Raises:
        EncryptedKeyError: always.
    """
    raise EncryptedKeyError(_ENCRYPTED)


def read_pem(file: str) -> str:
    """Return what a PEM file holds; bytes that are no ASCII are comments, and left out.

    Raises:
        UntrustedError: others can write or replace it.
        OSError: it cannot be read, is no regular file, or is larger than any bundle.
    """
    return read_trusted(Path(file), _MOST_PEM_BYTES).decode("ascii", "ignore")


def unverified(routes: Iterable[Route]) -> list[tuple[str, str]]:
    """Return, by route, what is to be said where any certificate is believed."""
    words = "certificates are not verified (tls.verify = false): anybody may be the server"
    return [
        (route.name, words)
        for route in routes
        if not route.tls.verify and read_url(route.base_url).is_tls
    ]


def anchor(
    values: dict[str, Any], key: str, folder: Path, path: KeyPath, problems: Problems
) -> None:
    """Make a path of the settings, if it is set, absolute; take it out and note it where it has
    no place."""
    try:
        if key in values:
            values[key] = str(path_of(values[key], folder))
    except PathError as error:
        del values[key]
        problems.add(path, str(error))


def check_tls(
    values: Mapping[str, Any],
    paths: Mapping[str, KeyPath],
    problems: Problems,
    *,
    files: bool = True,
) -> None:
    """Note what is wrong with a merged `tls` table; `paths` says where each of its keys stands.

    Its `files` are looked at only where they are those of the machine that probes.
    """
    if "client_key" in values and "client_cert" not in values:
        problems.add(paths["client_key"], "stands without client_cert")
    if not files:
        return
    usable = {key for key in TLS_FILES if key in values}
    for key in sorted(usable):
        complaint = _complaint(values[key], is_certificate=key != "client_key")
        if complaint is not None:
            usable.discard(key)
            problems.add(paths[key], f"{shown(values[key])} {complaint}")
    if "client_cert" in usable and ("client_key" in usable or "client_key" not in values):
        key = "client_key" if "client_key" in usable else "client_cert"
        complaint = _key_complaint(values["client_cert"], values.get("client_key"))
        if complaint is not None:
            problems.add(paths[key], f"{shown(values[key])} {complaint}")


def check_authorities(
    routes: Iterable[Route], environ: Mapping[str, str], problems: Problems
) -> None:
    """Note what is wrong with SSL_CERT_FILE and SSL_CERT_DIR, where a route trusts what they name.

    As OpenSSL has it, the first outweighs the second; the second may name several folders.
    """
    trusting = (
        route.tls.verify and route.tls.ca_file is None
        for route in routes
        if read_url(route.base_url).is_tls
    )
    if any(trusting):
        check_authorities_of(environ, problems)


def check_authorities_of(environ: Mapping[str, str], problems: Problems) -> None:
    """Note what is wrong with SSL_CERT_FILE and SSL_CERT_DIR, where somebody trusts what they
    name."""
    file, folders = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file:
        complaint = _complaint(file, is_certificate=True)
        if complaint is not None:
            problems.add_variable("SSL_CERT_FILE", f"{quoted(file)} {complaint}")
    elif folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        words = "is no folder, expected the one of the authorities to trust"
        problems.add_variable("SSL_CERT_DIR", f"{quoted(folders)} {words}")


def _complaint(file: str, *, is_certificate: bool) -> str | None:
    """Return what is wrong with a file by itself; None if nothing is."""
    try:
        data = read_pem(file)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except UntrustedError as error:
        return f"cannot be believed: {error}"
    try:
        if is_certificate:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data)
    except (OSError, ValueError):
        return "holds no certificate in PEM form"
    return None


def _key_complaint(cert: str, key: str | None) -> str | None:
    """Return what is wrong with the key of a good certificate; None if nothing is."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, no_password)
    except EncryptedKeyError as error:
        return str(error)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            return "is the key of another certificate"
        return "holds no key in PEM form"
    return None
