"""Where alerts are posted: a URL that may be a secret in itself.

Rule: it is never shown but for its scheme, host and port, and it goes over plain http to this
machine alone.
"""

from collections.abc import Mapping
from typing import Final

from probes.config.fields import named_variable
from probes.config.urls import Url, UrlError, read_url
from probes.kit.child_environment import note_secret

_ROUTE_EXAMPLE: Final = "https://api.example.com/v1"
_EXAMPLE: Final = "https://alerts.example.com/hook"


def webhook_of(text: str) -> str:
    """Return a webhook as it is kept: `env:NAME` as it is, a URL in its one spelling.

    Raises:
        UrlError: it is none; the text says why, without a secret.
    """
    return text if named_variable(text) is not None else str(_webhook_url(text))


def webhook_url(setting: str, environ: Mapping[str, str]) -> Url:
    """Return the URL of a setting.

    Raises:
        UrlError: the variable that it names holds none.
    """
    variable = named_variable(setting)
    if variable is None:
        note_secret(setting)
        return _webhook_url(setting)
    value = environ.get(variable, "").strip()
    if not value:
        raise UrlError("is not set")
    note_secret(value, variable)
    return _webhook_url(value)


def shown_webhook(url: Url) -> str:
    """Return what may be shown of a webhook."""
    return f"{url.scheme}://{url.authority}"


def _webhook_url(text: str) -> Url:
    try:
        url = read_url(text)
    except UrlError as error:
        words = str(error)
        if "user or password" in words:
            words = "has a user or password in it, expected none: what is secret goes into its path"
        elif words.startswith("got ") or "did you mean" in words:  # these show the path
            words = f"has no https:// in front, expected a URL such as {_EXAMPLE}"
        raise UrlError(words.replace(_ROUTE_EXAMPLE, _EXAMPLE)) from None
    if not url.is_tls and not url.is_loopback:
        raise UrlError("would be sent over plain http to another machine, expected https://")
    return url
