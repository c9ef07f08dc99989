"""Words of a server as text that any encoder takes."""

__all__ = ["clean"]


def clean(text: str) -> str:
    """Return text without lone surrogates: halves that meet become their character, others U+FFFD.

    JSON escapes can spell half a character, and a stream can cut one in two.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
