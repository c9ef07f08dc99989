"""Bytes of a text file to text: UTF-8, whatever editor wrote it."""

from typing import Final

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_WIDE: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
"""Byte order marks that are none of UTF-8; UTF-32's begins with one of UTF-16."""


class EncodingError(ValueError):
    """A file is not in UTF-8; the text says where, or what it is in instead."""


def decode_text(data: bytes) -> str:
    """Return a file's text; the mark that Notepad puts before UTF-8 is none of it.

    Raises:
        EncodingError: it is in another encoding.
    """
    for mark, name in _WIDE:
        if data.startswith(mark):
            raise EncodingError(_words(name))
    if b"\0" in data[:4]:
        # A text in Latin letters has every other byte empty there.
        raise EncodingError(_words("UTF-16"))
    try:
        return data.removeprefix(_UTF8_MARK).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EncodingError(f"line {line}: is not UTF-8") from None


def _words(name: str) -> str:
    return f"is in {name} (Notepad and PowerShell call it Unicode), expected UTF-8: save it as that"
