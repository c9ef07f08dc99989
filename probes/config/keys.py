"""Keys that can never be right, known before they are sent: by what is wrong, never by their value.

Rule 1. Blanks and line ends around a key are nobody's intention and are left out; inside, they and
whatever is no visible ASCII are refused, as no header can carry them (RFC 9110, section 5.5).
Rule 2. What stands around a key is not it: the quotes that docker's --env-file keeps, the scheme
and the header that we write ourselves, the assignment that it was copied from.
Rule 3. A placeholder is no key. Only what no provider gives out is taken for one: words such as
`EMPTY` or `dummy` are what people set for servers that want no key.
Rule 4. A whole header value (`Authorization = "env:NAME"`) has its scheme, once.

Where a key comes from: `probes.config.secrets`. Where it is scrubbed from what a server sends:
`probes.config.scrubbing`.
"""

import re
from typing import Final

_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_SCHEMES: Final = re.compile(r"(?i)(bearer|basic|token)[\s:]")
_TWO_SCHEMES: Final = re.compile(r"(?i)(bearer|basic|token)[\s:]+(bearer|basic|token)[\s:]")
_HEADERS: Final = re.compile(r"(?i)(authorization|x-api-key|api-key|x-goog-api-key)\s*[:=]")
_ASSIGNMENT: Final = re.compile(r"(export\s+|set\s+|\$env:)?[A-Z][A-Z0-9_]*=(?=[^=\s])")

_WITHOUT_QUOTES: Final = (
    "which would be sent with it (docker's --env-file keeps them): leave them out"
)
_EXAMPLE: Final = "holds the placeholder of an example, not a key"
_MASKED: Final = "holds a masked key"
_UNFILLED: Final = (
    (r"\.\.\.|\u2026", "holds a key that was shortened for display: there is an ellipsis in it"),
    (r"\$\{[^}]*\}?|\$\([^)]*\)?|^\$\w+$|^%\w+%$", "holds a variable that nobody filled in"),
    (r"\{\{.*|^\{\w+\}$", "holds a template that nobody filled in"),
    (r"<[^<>]*>", "holds a placeholder in angle brackets, not a key"),
    (r"(^|[-_])(your|put|paste|insert|enter)[-_ ]?[a-z0-9_-]*?(key|token|secret)", _EXAMPLE),
    (r"(key|token|secret)[-_ ]?here$", _EXAMPLE),
    (r"^(change[-_ ]?me|replace[-_ ]?(me|this|with).*|todo|fixme)$", _EXAMPLE),
    (r"^([a-z]{1,8}[-_]){0,3}[x*#\u2022\u2217]{3,}$", _MASKED),
    (r"^[\[(<]?(secret|redacted|masked|hidden)[\])>]$", _MASKED),
)
"""What stands where a key was to be filled in, or where one was taken out."""


def is_header_value(value: str) -> bool:
    """Whether `value` may stand in a header: visible ASCII with blanks between (RFC 9110)."""
    return _HEADER_VALUE.fullmatch(value) is not None


def key_complaint(key: str, name: str = "") -> str | None:
    """Return what is wrong with a key, without anything of it; None if nothing is.

    `name` is that of the variable it was in: one that holds its own name holds no key.
    """
    key = key.strip()
    if not key:
        return "is empty"
    if _in_quotes(key):
        return f"has quotes around the key, {_WITHOUT_QUOTES}"
    if _SCHEMES.match(key):
        return (
            "begins with a scheme such as Bearer, which is put before the key anyway: leave it out"
        )
    if _HEADERS.match(key):
        return "begins with the name of a header: only the key itself belongs there"
    if _ASSIGNMENT.match(key):
        return "begins with NAME=: only the key itself belongs there"
    return _unusable(key, name)


def header_complaint(value: str, name: str = "") -> str | None:
    """Return what is wrong with the whole value of a header that carries a key."""
    value = value.strip()
    if not value:
        return "is empty"
    if _in_quotes(value):
        return f"has quotes around the value, {_WITHOUT_QUOTES}"
    if _HEADERS.match(value):
        return "begins with the name of the header: only its value belongs there"
    if _TWO_SCHEMES.match(value):
        return "has its scheme twice, such as Bearer Bearer"
    return _unusable(value, name, may_have_blanks=True)


def _in_quotes(text: str) -> bool:
    return text[0] in _QUOTES or text[-1] in _QUOTES


def _unusable(value: str, name: str, *, may_have_blanks: bool = False) -> str | None:
    scheme = _SCHEMES.match(value)
    credential = value[scheme.end() :].strip() if scheme else value
    for pattern, words in _UNFILLED:
        if re.search(pattern, credential, re.IGNORECASE):
            return words
    if name and credential == name:
        return "holds its own name, not a key"
    if not is_header_value(value):
        return f"has characters that no header can carry: {_first_of(value)}"
    if not may_have_blanks and len(value.split()) > 1:
        return "has a blank inside the key"
    return None


def _first_of(value: str) -> str:
    if "\n" in value or "\r" in value:
        return "more than one line"
    beyond = any(not character.isascii() for character in value)
    return "a letter or sign beyond ASCII" if beyond else "a control character"
