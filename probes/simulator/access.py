"""Who may talk to the server: hosts that name this machine's loopback, and holders of the key."""

import hmac
from ipaddress import ip_address

from probes.simulator.chat import ApiError


def is_loopback_host(host: str) -> bool:
    """Return whether a `Host` value names the loopback interface; the port does not matter."""
    name = host.strip().lower()
    if name.startswith("["):
        name, _, rest = name[1:].partition("]")
        if rest and not rest.startswith(":"):
            return False
    else:
        name = name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def check_host(host: str | None) -> None:
    """Refuse requests that a web page made through a name of its own (DNS rebinding).

    Raises:
        ApiError: 403, the host is not a loopback name or address.
    """
    if host is None or not is_loopback_host(host):
        raise ApiError(403, "This server answers only to loopback hosts.", code="forbidden_host")


def check_key(authorization: str | None, expected: str | None) -> None:
    """Check a bearer token where the server has a key.

    Raises:
        ApiError: 401, no key or a wrong one; the key given is not repeated.
    """
    if expected is None:
        return
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ApiError(401, "You didn't provide an API key in an Authorization header.")
    if not hmac.compare_digest(given.strip().encode(), expected.encode()):
        raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
