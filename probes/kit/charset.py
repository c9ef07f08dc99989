"""Bodies that are not in UTF-8. Streams always are, by their standard; pages and JSON should be."""

import codecs
import json
import re
from typing import Final

_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_STARTS: Final = (b"{", b"[", b"<")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([a-z0-9._:-]{1,40})""", re.IGNORECASE)
_TEXTS: Final = re.compile(
    r"utf_(16|32)(_[lb]e)?|iso8859_\d{1,2}|iso_8859_1_\d|latin_1|ascii|cp\d{3,4}|koi8_[rut]"
    r"|shift_jis|euc_jp|iso2022_jp|euc_kr|johab|gbk|gb2312|gb18030|hz|big5|mac_[a-z]{4,8}"
)
"""What a charset may mean, by Python's names: encodings of text, none of Python's own."""


def is_wide(head: bytes | bytearray) -> bool:
    """Whether a body begins as UTF-16 or UTF-32: by its mark, or as JSON or a page would in it."""
    return head.startswith(_MARKS) or (0 in head[:2] and head[:2].strip(b"\0") in _STARTS)


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a whole body in UTF-8.

    What the bytes show wins over the charset of the content type: servers call UTF-8 by other
    names more often than they send anything else.
    """
    if is_wide(body):
        return _decoded(body, json.detect_encoding(body))
    try:
        body.decode()
    except UnicodeDecodeError:
        is_utf8 = False
    else:
        is_utf8 = b"\x1b" not in body  # ISO 2022 is made of ASCII and escapes
    found = _CHARSET.search(content_type[:200])
    return body if is_utf8 or found is None else _decoded(body, found[1])


def _decoded(body: bytes, charset: str) -> bytes:
    try:
        name = codecs.lookup(charset).name.replace("-", "_")
    except (LookupError, ValueError):
        return body
    if not _TEXTS.fullmatch(name):
        return body
    return body.decode(name, "replace").encode("utf-8", "replace")
