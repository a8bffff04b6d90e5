"""Proof: who wrote a mail, found out by asking the DNS and by looking at signatures (core.authentication.Prover).

- A relay of ours has seen the client and says what it found: that is taken, and nobody is asked again. What it leaves out is found out
  here, with the client that its Received line names.
- All of it takes four seconds at most, and a mail's reach is asked for meanwhile. What is not known by then is UNKNOWN.
- Nothing here is inside a transaction, and nothing is decided here: the rules are core's, which asks by inquiries.
- DKIM takes one public-key operation for each signature of the author's own organisation, of five at most.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from mailgate.core import dmarc, spf
from mailgate.core.addresses import NULL_PATH, Address
from mailgate.core.authentication import Check, Proof, Published, Reach, Stated, Verdict, stated, verdict
from mailgate.core.dmarc import Policy
from mailgate.core.headers import Headers, author
from mailgate.core.inbound import Inbound
from mailgate.core.lookups import Kind, Lack, Question, is_within, records
from mailgate.core.signatures import MAX_SIGNATURES, Signature, key_in, signatures
from mailgate.core.spfrecord import Result
from mailgate.core.trace import Network, trace
from mailgate.smtp.names import Names, carried

T = TypeVar("T")

BUDGET_S: Final = 4.0
_FEWEST, _MOST = 1024, 4096  # bits of an RSA key (RFC 8301 section 3.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A mail, and what is known of it without asking."""

    mail: Inbound
    headers: Headers
    sender: Address
    author: Address
    client: str | None
    stated: Stated


class NetworkProver:
    """A prover that asks."""

    def __init__(
        self, names: Names, *, relays: Sequence[Network], authserv_id: str, budget_s: float = BUDGET_S
    ) -> None:
        self._names = names
        self._relays = relays
        self._authserv_id = authserv_id
        self._budget_s = budget_s

    async def prove(self, mail: Inbound, headers: Headers, *, to: Address) -> Proof:
        """What is known of a mail that would be answered to `to`."""
        way = trace(headers, peer=mail.peer, relays=self._relays, authserv_id=self._authserv_id)
        if mail.sender is NULL_PATH:
            return Proof(client=way.client)
        from_ = author(headers)
        writer = from_ if isinstance(from_, Address) else mail.sender
        case = _Case(
            mail=mail,
            headers=headers,
            sender=mail.sender,
            author=writer,
            client=way.client,
            stated=stated(way.claims, author=writer.domain),
        )
        async with asyncio.TaskGroup() as group:
            reach = group.create_task(self._in_time(self._reach(to.domain), Reach.UNKNOWN))
            found, is_aligned = await self._in_time(self._judge(case), (Verdict.UNKNOWN, False))
        return Proof(verdict=found, is_aligned=is_aligned, reach=reach.result(), client=way.client)

    async def _in_time(self, work: Awaitable[T], otherwise: T) -> T:
        try:
            async with asyncio.timeout(self._budget_s):
                return await work
        except TimeoutError:
            return otherwise

    async def _reach(self, domain: str) -> Reach:
        answer = await self._names.ask(Question(domain, Kind.MX))
        match answer:
            case Lack.NO_NAME:
                return Reach.NO_DOMAIN
            case Lack.UNKNOWN:
                return Reach.UNKNOWN
            case (".",):
                return Reach.NULL_MX
            case _:
                return Reach.YES

    async def _judge(self, case: _Case) -> tuple[Verdict, bool]:
        """The verdict, and whether sender and author are of one organisation."""
        is_one = case.sender.domain == case.author.domain
        if case.stated.verdict is not None and is_one:
            return case.stated.verdict, True
        policy = await carried(dmarc.policy_of(case.author.domain), self._names)
        if isinstance(policy, Lack):
            published, policy = Published.UNKNOWN, Policy(record=None, organisation=case.author.domain)
        else:
            published = Published.NO if policy.record is None else Published.YES
        if not is_one:
            is_one = await self._is_aligned(case.sender.domain, case, policy, strict=False) is True
        if case.stated.verdict is not None:
            return case.stated.verdict, is_one
        if published is Published.NO and case.sender.key == case.author.key:
            return Verdict.NONE, is_one  # nothing that could be found out would change anything
        dkim = await self._dkim(case, policy)
        check = Check.FAIL if dkim is Check.PASS else await self._spf(case, policy)
        return verdict(published, spf=check, dkim=dkim), is_one

    async def _is_aligned(self, domain: str, case: _Case, policy: Policy, *, strict: bool) -> bool | Lack:
        return await carried(dmarc.aligned(domain, case.author.domain, policy, strict=strict), self._names)

    async def _spf(self, case: _Case, policy: Policy) -> Check:
        domain = case.stated.spf_domain or case.sender.domain
        if not is_within(domain, policy.organisation):
            return Check.FAIL  # whatever is said of it, it speaks for somebody else
        found = await self._own_spf(case) if case.stated.spf is None else case.stated.spf
        if found is not Check.PASS:
            return found
        strict = policy.record is not None and policy.record.strict_spf
        return _check(await self._is_aligned(domain, case, policy, strict=strict))

    async def _own_spf(self, case: _Case) -> Check:
        if case.client is None:
            return Check.UNKNOWN
        match await carried(spf.check(ip=case.client, sender=case.sender), self._names):
            case Result.PASS:
                return Check.PASS
            case Result.TEMPERROR:
                return Check.UNKNOWN
            case _:
                return Check.FAIL

    async def _dkim(self, case: _Case, policy: Policy) -> Check:
        strict = policy.record is not None and policy.record.strict_dkim
        if case.stated.dkim is None:
            checks = [
                await self._is_made_by(each)
                if (is_aligned := await self._is_aligned(each.domain, case, policy, strict=strict)) is True
                else _check(is_aligned)
                for each in await self._signatures(case, policy)
            ]
        elif case.stated.dkim is Check.PASS:
            domains = case.stated.dkim_domains[:MAX_SIGNATURES]
            checks = [_check(await self._is_aligned(each, case, policy, strict=strict)) for each in domains]
        else:
            checks = [case.stated.dkim]
        return min(checks, key=_ORDER.index, default=Check.FAIL)

    async def _signatures(self, case: _Case, policy: Policy) -> tuple[Signature, ...]:
        value = case.headers.first("from")
        if value is None or case.headers.first("dkim-signature") is None:
            return ()
        return await asyncio.to_thread(
            signatures,
            case.mail.content,
            from_value=value,
            organisation=policy.organisation,
            now=case.mail.received_at,
        )

    async def _is_made_by(self, signature: Signature) -> Check:
        """Whether the domain's key made a signature."""
        answer = await self._names.ask(Question(signature.key_name, Kind.TXT))
        if answer is Lack.UNKNOWN:
            return Check.UNKNOWN
        keys = (key_in(record, signature) for record in records(answer))
        return Check.PASS if any(key is not None and is_signed(signature, key) for key in keys) else Check.FAIL


_ORDER: Final = (Check.PASS, Check.UNKNOWN, Check.FAIL)  # one good signature is enough


def _check(is_aligned: bool | Lack) -> Check:
    if isinstance(is_aligned, Lack):
        return Check.UNKNOWN
    return Check.PASS if is_aligned else Check.FAIL


def is_signed(signature: Signature, key: bytes) -> bool:
    """Whether a public key, as it is published, made a signature."""
    try:
        if signature.algorithm == "ed25519":  # RFC 8463 section 3: what is signed is the hash
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature.value, sha256(signature.signed).digest())
            return True
        public = serialization.load_der_public_key(key)
        if not isinstance(public, rsa.RSAPublicKey) or not _FEWEST <= public.key_size <= _MOST:
            return False
        public.verify(signature.value, signature.signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
