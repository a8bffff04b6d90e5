import pytest

from mailgate.core.providers import is_carrier, is_free_mail, is_free_provider, provider_of, site_of


@pytest.mark.parametrize(
    "domain, provider, site",
    [
        ("docomo.ne.jp", "docomo", "docomo"),
        ("ezweb.ne.jp", "au", "au"),
        ("au.com", "au", "au"),
        ("uqmobile.jp", "au", "au"),
        ("softbank.ne.jp", "softbank", "softbank"),
        ("i.softbank.jp", "softbank", "softbank"),
        ("t.vodafone.ne.jp", "softbank", "softbank"),
        ("jp-d.ne.jp", "softbank", "softbank"),
        ("ymobile.ne.jp", "ymobile", "ymobile"),
        ("yahoo.ne.jp", "ymobile", "ymobile"),
        ("di.pdx.ne.jp", "ymobile", "ymobile"),
        ("rakumail.jp", "rakuten", "rakuten"),
        ("rakuten.jp", "rakuten", "rakuten"),
        ("icloud.com", "icloud", "icloud"),
        ("me.com", "icloud", "icloud"),
        ("gmail.com", "gmail", "gmail"),
        ("yahoo.co.jp", "yahoo", "yahoo"),
        ("yahoo.com", "yahoo", "yahoo.com"),
        ("aol.com", "yahoo", "yahoo.com"),
        ("outlook.jp", "microsoft", "microsoft"),
        ("city.example.jp", "other", "city.example.jp"),
        ("docomo.ne.jp.example.com", "other", "docomo.ne.jp.example.com"),
        ("mydocomo.ne.jp", "other", "mydocomo.ne.jp"),
        ("x.gmail.com", "other", "x.gmail.com"),
        ("localhost", "other", "localhost"),
        ("ne.jp", "other", "ne.jp"),
    ],
)
def test_each_domain_has_a_provider_and_a_site(domain: str, provider: str, site: str) -> None:
    assert (provider_of(domain), site_of(domain)) == (provider, site)


@pytest.mark.parametrize("domain", ["docomo.ne.jp", "ezweb.ne.jp", "i.softbank.jp", "yahoo.ne.jp", "rakumail.jp"])
def test_a_carrier_is_no_free_mail(domain: str) -> None:
    assert is_carrier(domain)
    assert not is_free_mail(domain)


@pytest.mark.parametrize("domain", ["icloud.com", "gmail.com", "yahoo.co.jp", "outlook.com"])
def test_free_mail_is_no_carrier(domain: str) -> None:
    assert is_free_mail(domain)
    assert is_free_provider(provider_of(domain))
    assert not is_carrier(domain)


@pytest.mark.parametrize("domain", ["example.jp", "x.gmail.com", "gmail.com.example.jp"])
def test_the_rest_is_neither(domain: str) -> None:
    assert not is_carrier(domain)
    assert not is_free_mail(domain)
    assert not is_free_provider(provider_of(domain))
