"""Certificates of the tests' own, of which one is good and the others are what goes wrong."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import trustme

from wires.spans import Span

NAME: Final = "localhost"

Flaw: TypeAlias = Literal["none", "expired", "other_name", "unknown_authority"]


class Certificate(Span, frozen=True, kw_only=True):
    """What a server shows for a while."""

    flaw: Flaw = "none"


class Certificates:
    """A server's contexts, one for each flaw, and the authority that clients are to trust."""

    def __init__(self, folder: Path) -> None:
        """Make them; `folder` takes the authority's file."""
        trusted, stranger = trustme.CA(), trustme.CA(organization_name="nobody we know")
        self.authority: Final = folder / "authority.pem"
        trusted.cert_pem.write_to_path(str(self.authority))
        yesterday = datetime.now(UTC) - timedelta(days=1)
        issued = {
            "none": trusted.issue_cert(NAME),
            "expired": trusted.issue_cert(
                NAME, not_before=yesterday - timedelta(days=90), not_after=yesterday
            ),
            "other_name": trusted.issue_cert("other.example"),
            "unknown_authority": stranger.issue_cert(NAME),
        }
        assert set(issued) == set(get_args(Flaw))
        self._contexts = {flaw: _context(cert) for flaw, cert in issued.items()}

    def context(self, flaw: Flaw = "none") -> ssl.SSLContext:
        """Return the server's side with a certificate of that flaw."""
        return self._contexts[flaw]


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context
