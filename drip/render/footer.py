"""The footer that a message gets when its template has no unsubscribe link of its own: English, or Spanish."""

from __future__ import annotations

from html import escape

_WORDS = {"en": "Unsubscribe", "es": "Darse de baja"}
_STYLE = "margin-top:32px;padding-top:16px;border-top:1px solid #c8ccd1;font-size:13px;line-height:1.5"


def footer_html(link: str | None, postal_address: str | None, language: str) -> str:
    """The footer as HTML; empty when there is nothing to say.

    Args:
        link: where one unsubscribes; None leaves it out.
        postal_address: None leaves it out.
        language: `es` or `en`.
    """
    address = [escape(line) for line in (postal_address or "").splitlines() if line.strip()]
    anchor = [f'<a class="drip-footer" href="{escape(link)}">{_WORDS[language]}</a>'] if link else []
    lines = "<br>".join([*address, *anchor])
    return f'<div class="drip-footer" style="{_STYLE}">{lines}</div>' if lines else ""


def footer_text(link: str | None, postal_address: str | None, language: str) -> list[str]:
    """The same as text, with the blank line before it, in pieces."""
    address = "".join(f"{line.strip()}\n" for line in (postal_address or "").splitlines() if line.strip())
    if not link:
        return [f"\n-- \n{address}"] if address else []
    return [f"\n-- \n{address}{_WORDS[language]}: ", link, "\n"]
