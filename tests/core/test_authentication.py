from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.authentication import (
    Check,
    Claim,
    Published,
    Results,
    Stated,
    Verdict,
    read_results,
    stated,
    verdict,
)


def _claims(text: str) -> list[tuple[str, str, dict[str, str]]]:
    return [(claim.method, claim.result, dict(claim.about)) for claim in read_results(text).claims]


@pytest.mark.parametrize("published, spf, dkim", list(product(Published, Check, Check)))
def test_every_triple_has_its_verdict(published: Published, spf: Check, dkim: Check) -> None:
    found = verdict(published, spf=spf, dkim=dkim)
    if Check.PASS in (spf, dkim):  # one is enough
        assert found is Verdict.PASS
    elif published is Published.NO:
        assert found is Verdict.NONE
    elif published is Published.YES and (spf, dkim) == (Check.FAIL, Check.FAIL):  # only what is known on all sides is a failure
        assert found is Verdict.FAIL
    else:
        assert found is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "text, by, claims",
    [
        ("mx.city.jp; none", "mx.city.jp", []),
        ("mx.city.jp", "mx.city.jp", []),
        ("MX.City.JP 1; dmarc=pass", "mx.city.jp", [("dmarc", "pass", {})]),
        ("mx; spf=pass smtp.mailfrom=taro@x.jp", "mx", [("spf", "pass", {"smtp.mailfrom": "taro@x.jp"})]),
        (
            "mx;\t spf=Pass smtp.mailfrom=X.jp;  dkim=pass header.d=X.jp header.s=s1",
            "mx",
            [("spf", "pass", {"smtp.mailfrom": "x.jp"}), ("dkim", "pass", {"header.d": "x.jp", "header.s": "s1"})],
        ),
        ("mx; dmarc/1 = fail header.from = x.jp", "mx", [("dmarc", "fail", {"header.from": "x.jp"})]),
        ("mx (a; dmarc=pass) ; dmarc=fail (p=none (nested) x) header.from=x.jp", "mx", [("dmarc", "fail", {"header.from": "x.jp"})]),
        (r"mx (never closed \) ; dmarc=pass", "mx", []),
        (r"mx; dmarc=fail (\) dmarc=pass); spf=none", "mx", [("dmarc", "fail", {}), ("spf", "none", {})]),
        ('"mx.jp"; dmarc=fail reason="a; dmarc=pass" header.from=x.jp', "mx.jp", [("dmarc", "fail", {"header.from": "x.jp"})]),
        ('mx; dkim=pass header.i="@x.jp"', "mx", [("dkim", "pass", {"header.i": "@x.jp"})]),
        ('mx; dkim=pass header.i="never closed', "mx", [("dkim", "pass", {"header.i": '"never'})]),
        ("mx; dkim=pass action=none x.y", "mx", [("dkim", "pass", {})]),
        ("mx; ; text; =x", "mx", [("", "x", {})]),
        (") mx ); dmarc=pass", "mx", [("dmarc", "pass", {})]),
        ("", "", []),
        (";;", "", []),
    ],
)
def test_a_field_is_read(text: str, by: str, claims: list[tuple[str, str, dict[str, str]]]) -> None:
    assert read_results(text).by == by
    assert _claims(text) == claims


def test_a_field_as_large_relays_write_it_is_read() -> None:
    text = (
        "mx.google.com;       dkim=pass header.i=@example.jp header.s=s1 header.b=AbCdEf;"
        "       spf=pass (google.com: domain of taro@example.jp designates 192.0.2.7 as permitted sender) smtp.mailfrom=taro@example.jp;"
        "       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=example.jp"
    )
    found = stated(read_results(text).claims, author="example.jp")
    assert found == Stated(
        verdict=Verdict.PASS, spf=Check.PASS, spf_domain="example.jp", dkim=Check.PASS, dkim_domains=("example.jp",)
    )


def test_nothing_is_read_beyond_ten_thousand_characters() -> None:
    assert _claims("mx; spf=fail " + " " * 10_000 + "; dmarc=pass") == [("spf", "fail", {})]


@given(st.text(alphabet=' ;=()"\\/.ab\t', max_size=80))
def test_any_field_is_read(text: str) -> None:
    found = read_results(text)
    assert isinstance(found, Results)
    assert all(isinstance(claim, Claim) for claim in found.claims)
    stated(found.claims, author="a.b")


@pytest.mark.parametrize(
    "claims, found",
    [
        ("", Stated()),
        ("dmarc=pass header.from=example.jp", Stated(verdict=Verdict.PASS)),
        ("dmarc=pass", Stated(verdict=Verdict.PASS)),
        ("dmarc=fail header.from=Example.jp", Stated(verdict=Verdict.FAIL)),
        ("dmarc=none", Stated(verdict=Verdict.NONE)),
        ("dmarc=bestguesspass", Stated(verdict=Verdict.NONE)),
        ("dmarc=temperror", Stated(verdict=Verdict.UNKNOWN)),
        ("dmarc=permerror", Stated(verdict=Verdict.UNKNOWN)),
        ("dmarc=something", Stated(verdict=Verdict.UNKNOWN)),
        ("dmarc=pass header.from=other.jp", Stated()),  # another From was looked at
        ("dmarc=fail; dmarc=pass", Stated(verdict=Verdict.FAIL)),  # the topmost counts
        ("spf=pass smtp.mailfrom=taro@mail.example.jp", Stated(spf=Check.PASS, spf_domain="mail.example.jp")),
        ("spf=pass smtp.mail=example.jp", Stated(spf=Check.PASS, spf_domain="example.jp")),
        ("spf=pass", Stated(spf=Check.PASS)),
        ("spf=softfail smtp.mailfrom=x.jp", Stated(spf=Check.FAIL, spf_domain="x.jp")),
        ("spf=temperror", Stated(spf=Check.UNKNOWN)),
        ("spf=fail; spf=pass", Stated(spf=Check.FAIL)),
        ("dkim=none", Stated(dkim=Check.FAIL)),
        ("dkim=pass header.d=example.jp", Stated(dkim=Check.PASS, dkim_domains=("example.jp",))),
        ("dkim=pass header.i=@a.example.jp", Stated(dkim=Check.PASS, dkim_domains=("a.example.jp",))),
        ("dkim=fail header.d=a.jp; dkim=pass header.d=b.jp", Stated(dkim=Check.PASS, dkim_domains=("b.jp",))),
        ("dkim=fail; dkim=temperror", Stated(dkim=Check.UNKNOWN)),
        ("iprev=pass", Stated()),
    ],
)
def test_claims_state_what_counts(claims: str, found: Stated) -> None:
    assert stated(read_results(f"mx; {claims}").claims, author="example.jp") == found


@pytest.mark.parametrize("text", ["a", " ", "a=", "=", ";", "(", ")", '"', "\\", "a.b=c ", '"a', "a/1=b;", "( ; "])
def test_no_field_keeps_us_long(text: str, cpu_seconds: Callable[[Callable[[], object]], float]) -> None:
    value = "mx; " + text * (100_000 // len(text))
    assert cpu_seconds(lambda: read_results(value)) < 0.02
