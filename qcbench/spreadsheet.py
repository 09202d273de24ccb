"""The one rule by which text goes into a CSV that a spreadsheet opens safely, and comes back unchanged."""

from __future__ import annotations

#: What a spreadsheet takes for a formula when a text begins with it (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Return the text with an apostrophe in front where a spreadsheet would compute it.

    >>> harmless("=1+1"), harmless("T1 +C")
    ("'=1+1", 'T1 +C')
    """
    # A text that has apostrophes before its formula gets one more: `original` takes one off.
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def original(text: str) -> str:
    """Return the text that `harmless` was given.

    >>> original("'=1+1"), original("'t1"), original(harmless("'=1+1"))
    ('=1+1', "'t1", "'=1+1")
    """
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA) else text
