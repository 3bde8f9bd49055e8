"""Whether a delivery is the vendor's, meant for us, and of now: before that is known, nothing of it is used."""

from __future__ import annotations

from base64 import b64encode

import msgspec

from fairlead.errors import UnavailableError, WebhookError, WebhookReason
from fairlead.model.fetch import Fetch, Lookup
from fairlead.model.incoming import Incoming, Reply
from fairlead.spec.webhook import (
    BasicScheme,
    CertificateScheme,
    EitherScheme,
    HmacScheme,
    JwtScheme,
    PublicKeyScheme,
    Scheme,
    Single,
    TokenScheme,
)
from fairlead.webhooks.certificates import check_address, check_certified
from fairlead.webhooks.challenge import answer_open, answer_signed
from fairlead.webhooks.digest import check_digest
from fairlead.webhooks.keys import check_public_key
from fairlead.webhooks.secrets import Secrets, is_agreed, values_of
from fairlead.webhooks.tokens import check_jwt


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a verified delivery: take its notices, or, where it is only a question, answer it."""

    is_accepted: bool
    #: The answer, where there is nothing to take.
    reply: Reply | None = None
    #: What the vendor uses for one delivery alone. Whoever stores them refuses, as `replayed`, one whose nonce came
    #: before with other notices; with the same ones it is a repeat, which is answered like the first.
    nonce: str | None = None
    #: The delivery asked us to agree to a subscription, and we did.
    is_confirmation: bool = False


_ACCEPTED = Verdict(is_accepted=True)


def verify(scheme: Scheme, incoming: Incoming, secrets: Secrets, *, now: float) -> Lookup[Verdict]:
    """Return what to do with a delivery; raise `WebhookError`, whose `reason` says why, where it is refused.

    Most schemes yield nothing; those that need a certificate, or agree to a subscription, yield a `Fetch`. `now` is in
    seconds since 1970.
    """
    if isinstance(scheme, EitherScheme):
        name, first = scheme.by_header
        return (yield from _verify(first if name in incoming.headers else scheme.otherwise, incoming, secrets, now))
    return (yield from _verify(scheme, incoming, secrets, now))


def _verify(scheme: Single, incoming: Incoming, secrets: Secrets, now: float) -> Lookup[Verdict]:
    match scheme:
        case CertificateScheme():
            return (yield from _verify_certified(scheme, incoming, secrets, now))
        case HmacScheme():
            return _verify_digest(scheme, incoming, secrets, now)
        case TokenScheme():
            asked = answer_open(scheme.challenge, None, incoming, secrets) if scheme.challenge else None
            if asked is not None:
                return Verdict(is_accepted=False, reply=asked)
            _check_token(scheme, incoming, secrets)
        case BasicScheme():
            _check_basic(scheme, incoming, secrets)
        case PublicKeyScheme():
            check_public_key(scheme, incoming, secrets, now=now)
        case JwtScheme():
            return Verdict(is_accepted=True, nonce=check_jwt(scheme, incoming, secrets, now=now))
    return _ACCEPTED


def _verify_digest(scheme: HmacScheme, incoming: Incoming, secrets: Secrets, now: float) -> Verdict:
    asked = answer_open(scheme.challenge, scheme, incoming, secrets) if scheme.challenge else None
    if asked is not None:
        return Verdict(is_accepted=False, reply=asked)
    nonce = check_digest(scheme, incoming, secrets, now=now)
    asked = answer_signed(scheme.challenge, incoming) if scheme.challenge else None
    return Verdict(is_accepted=asked is None, reply=asked, nonce=nonce)


def _verify_certified(scheme: CertificateScheme, incoming: Incoming, secrets: Secrets, now: float) -> Lookup[Verdict]:
    certified = scheme.find(incoming, values_of(secrets, scheme.field))
    check_address(certified.certificate_url, host=scheme.host, path=scheme.path)
    if certified.confirm_url is not None:
        check_address(certified.confirm_url, host=scheme.host)
    answer = yield Fetch(certified.certificate_url, is_kept=True)
    check_certified(certified, answer, tolerance_s=scheme.tolerance_s, now=now)
    if certified.confirm_url is None:
        return Verdict(is_accepted=True, nonce=certified.nonce)
    answer = yield Fetch(certified.confirm_url)
    if answer.status != 200:
        raise UnavailableError("The vendor did not take our word that we want its deliveries.", status=answer.status)
    return Verdict(is_accepted=False, reply=Reply(), is_confirmation=True)


def _check_token(scheme: TokenScheme, incoming: Incoming, secrets: Secrets) -> None:
    agreed = [f"{scheme.prefix}{each}" for each in values_of(secrets, scheme.field)]
    _check_shown(incoming.headers.get(scheme.header), agreed)


def _check_basic(scheme: BasicScheme, incoming: Incoming, secrets: Secrets) -> None:
    users, passwords = values_of(secrets, scheme.user), values_of(secrets, scheme.password)
    logins = (f"{user}:{password}".encode() for user in users for password in passwords)
    _check_shown(incoming.headers.get("authorization"), [f"Basic {b64encode(each).decode()}" for each in logins])


def _check_shown(given: str | None, agreed: list[str]) -> None:
    if not given:
        raise WebhookError.of(WebhookReason.UNSIGNED)
    if not is_agreed(given, agreed):
        raise WebhookError.of(WebhookReason.BAD_TOKEN)
