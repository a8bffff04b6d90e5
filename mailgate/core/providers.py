"""Providers: whose mailboxes a domain holds, and which domains are one site to a sender.

A provider is what a guardian would call it (the page says "docomo"); a site is the set of domains behind one set of
mail exchangers, so limits and pauses learnt from one of them hold for all. Carriers are exempt from the rule per
sender domain, because in April a whole school scans the same QR code within an hour. Free mail is allowed everywhere;
the page only adds a warning. An unknown domain is its own site. Domains are compared as addresses store them:
lower-case ASCII.
"""

from types import MappingProxyType
from typing import Final

OTHER: Final = "other"

_VODAFONE_REGIONS = "cdhknqrst"  # the nine regional companies, whose subdomains outlived them

_BY_PROVIDER = {
    "docomo": (
        "docomo.ne.jp",
        "dwmail.jp",
        "disneymobile.ne.jp",
        "docomo.blackberry.com",
        "mopera.net",
        "mopera.ne.jp",
    ),
    "au": ("ezweb.ne.jp", "au.com", "uqmobile.jp", "sky.tkk.ne.jp", "sky.tkc.ne.jp", "sky.tu-ka.ne.jp", "ido.ne.jp"),
    "softbank": (
        "softbank.ne.jp",
        "i.softbank.jp",
        "softbank.jp",
        "vodafone.ne.jp",
        "disney.ne.jp",
        *(f"jp-{region}.ne.jp" for region in _VODAFONE_REGIONS),
    ),
    "ymobile": (
        "ymobile.ne.jp",
        "ymobile1.ne.jp",
        "y-mobile.ne.jp",
        "yahoo.ne.jp",  # sold with the phone, unlike yahoo.co.jp
        "emnet.ne.jp",
        "emobile.ne.jp",
        "emobile-s.ne.jp",
        "pdx.ne.jp",
        "willcom.com",
    ),
    "rakuten": ("rakumail.jp", "rakuten.jp"),
    "icloud": ("icloud.com", "me.com", "mac.com", "privaterelay.appleid.com"),
    "gmail": ("gmail.com", "googlemail.com"),
    "yahoo": ("yahoo.co.jp", "ymail.ne.jp", "yahoo.com", "ymail.com", "rocketmail.com", "aol.com", "aol.jp"),
    "microsoft": (
        "outlook.com",
        "outlook.jp",
        "hotmail.com",
        "hotmail.co.jp",
        "live.com",
        "live.jp",
        "msn.com",
    ),
}

_PROVIDERS = MappingProxyType({domain: provider for provider, domains in _BY_PROVIDER.items() for domain in domains})

# The worldwide company's exchangers are not those of yahoo.co.jp, although people call both Yahoo.
_OTHER_SITES = MappingProxyType(
    dict.fromkeys(("yahoo.com", "ymail.com", "rocketmail.com", "aol.com", "aol.jp"), "yahoo.com")
)

_CARRIERS = frozenset({"docomo", "au", "softbank", "ymobile", "rakuten"})
_FREE_MAIL = frozenset({"icloud", "gmail", "yahoo", "microsoft"})


def provider_of(domain: str) -> str:
    """The provider of a domain's mailboxes, or "other"."""
    if provider := _PROVIDERS.get(domain):
        return provider
    # Old phones have mailboxes one level below (t.vodafone.ne.jp, di.pdx.ne.jp), where only the carrier makes names.
    parent = _PROVIDERS.get(domain.partition(".")[2], OTHER)
    return parent if parent in _CARRIERS else OTHER


def site_of(domain: str) -> str:
    """The site that takes the domain's mail: a provider's name, or the domain itself."""
    if site := _OTHER_SITES.get(domain):
        return site
    provider = provider_of(domain)
    return domain if provider == OTHER else provider


def is_carrier(domain: str) -> bool:
    """Whether the mailboxes come with a phone contract."""
    return provider_of(domain) in _CARRIERS


def is_free_mail(domain: str) -> bool:
    """Whether anybody can have such a mailbox for nothing."""
    return provider_of(domain) in _FREE_MAIL


def is_free_provider(provider: str) -> bool:
    """Whether anybody can have a mailbox there for nothing."""
    return provider in _FREE_MAIL
