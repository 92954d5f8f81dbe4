"""Mail services by the name of their server: what their pages say has to be in a domain's DNS. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relay:
    """A mail service."""

    name: str
    include: str
    """What a domain's SPF includes so that the service may send for it."""
    selectors: tuple[str, ...] = ()
    """The DKIM selectors it usually has its customers publish; empty when each gets its own."""
    own_return_path: bool = True
    """Whether the service puts its own address into MAIL FROM, so that SPF is its own affair."""


_RELAYS: dict[str, Relay] = {
    "gmail.com": Relay("Gmail", "_spf.google.com", ("google",), own_return_path=False),
    "amazonaws.com": Relay("Amazon SES", "amazonses.com"),
    "postmarkapp.com": Relay("Postmark", "spf.mtasv.net"),
    "sendgrid.net": Relay("SendGrid", "sendgrid.net", ("s1", "s2")),
    "mailgun.org": Relay("Mailgun", "mailgun.org", ("mx", "k1", "smtp"), own_return_path=False),
    "brevo.com": Relay("Brevo", "spf.brevo.com", ("brevo1", "brevo2", "mail")),
    "sendinblue.com": Relay("Brevo", "spf.brevo.com", ("brevo1", "brevo2", "mail")),
    "resend.com": Relay("Resend", "amazonses.com", ("resend",)),
    "office365.com": Relay(
        "Microsoft 365", "spf.protection.outlook.com", ("selector1", "selector2"), own_return_path=False
    ),
    "mailjet.com": Relay("Mailjet", "spf.mailjet.com", ("mailjet",)),
    "messagingengine.com": Relay("Fastmail", "spf.messagingengine.com", ("fm1", "fm2", "fm3"), own_return_path=False),
    "fastmail.com": Relay("Fastmail", "spf.messagingengine.com", ("fm1", "fm2", "fm3"), own_return_path=False),
}
"""By the end of the server's name."""


def relay_of(host: str) -> Relay | None:
    """The mail service a server belongs to, or None."""
    labels = host.lower().rstrip(".").split(".")
    return next((found for cut in range(len(labels) - 1) if (found := _RELAYS.get(".".join(labels[cut:])))), None)
