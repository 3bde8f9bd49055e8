"""How a vendor signs what it sends, and how that is read: data, and pure functions of the vendor's own file.

Each scheme names, in `field` and the like, the credentials that it is verified with, as the schemes of outgoing
requests do; each of them may have several values, so that a secret can be changed while deliveries keep coming.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from fairlead.model.event import Event, Notice
from fairlead.model.incoming import Incoming, Reply
from fairlead.spec.encoding import Encoding

#: How far the time of a signature may be from ours, where the vendor names no other figure (Standard Webhooks, 2023).
TOLERANCE_S = 300.0


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says was signed. Each of `messages` may be it: vendors differ over ports, for one."""

    messages: tuple[bytes, ...]
    #: As they came, encoded.
    signatures: tuple[str, ...]
    #: Seconds since 1970, as it came.
    timestamp: str | None = None
    #: What is signed, and used for this delivery alone.
    nonce: str | None = None


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """A question by which the vendor makes sure that the address is ours, and what it wants to hear.

    Where the question stands: in the query or a header of a GET, which is not signed, or in a `json_field` of a signed
    body. With `answer_field` the answer is JSON, else it is plain text.
    """

    parameter: str | None = None
    header: str | None = None
    json_field: str | None = None
    #: What else must be there, and with which value: parameters of the query, or fields of the body.
    only_where: tuple[tuple[str, str], ...] = ()
    #: A parameter that must be the value of a credential: which parameter, which field.
    token: tuple[str, str] | None = None
    #: A parameter that names what is subscribed to, and the field with what is wanted; what is not, may be ended.
    topic: tuple[str, str] | None = None
    answer_field: str | None = None
    #: The answer is the signature of the question, by the scheme's secret.
    is_signed: bool = False


class HmacScheme(msgspec.Struct, frozen=True, kw_only=True):
    """A digest, mostly an HMAC (RFC 2104), with a secret that both sides know.

    `message` is a template of `{body}`, `{url}`, `{timestamp}`, `{id}` and, where the digest has no key of its own,
    `{secret}`. The header has one signature, or with a `separator` several parts, of which those with the `prefix` are
    signatures; `{algorithm}` in the prefix is one of `algorithms`. `find` is in place of header and template for
    signatures that are elsewhere.
    """

    header: str = ""
    message: str = "{body}"
    algorithms: tuple[str, ...] = ("sha256",)
    encoding: Encoding = Encoding.HEX
    prefix: str = ""
    separator: str | None = None
    #: The time is a part of the same header.
    timestamp_prefix: str | None = None
    timestamp_header: str | None = None
    id_header: str | None = None
    #: How far the signed time may be from ours, in seconds and both ways; None where it does not count.
    tolerance_s: float | None = TOLERANCE_S
    field: str = "webhook_secret"
    #: The secret as it is shown to people is this, and then the key.
    key_prefix: str = ""
    has_base64_key: bool = False
    #: A plain digest, with the secret in the message.
    is_keyed: bool = True
    find: Callable[[Incoming], Signed] | None = None
    challenge: Challenge | None = None


def standard_webhooks(*, headers: str = "webhook") -> HmacScheme:
    """Return the scheme of the Standard Webhooks (specification 1.0.0, 'v1'), which many vendors sign by.

    `headers` is what their names begin with: some still use that of the service from which the standard came.
    """
    return HmacScheme(
        header=f"{headers}-signature",
        message="{id}.{timestamp}.{body}",
        prefix="v1,",
        separator=" ",
        encoding=Encoding.BASE64,
        id_header=f"{headers}-id",
        timestamp_header=f"{headers}-timestamp",
        key_prefix="whsec_",
        has_base64_key=True,
    )


class PublicKeyScheme(msgspec.Struct, frozen=True, kw_only=True):
    """ECDSA with SHA-256 (FIPS 186-5) of the timestamp and the body.

    The public half of the key is a credential, in base64 of its DER.
    """

    header: str
    timestamp_header: str
    tolerance_s: float | None = TOLERANCE_S
    field: str = "webhook_public_key"


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says was signed, and where the certificate of the signer is."""

    messages: tuple[bytes, ...]
    signature: str
    certificate_url: str
    algorithm: str = "sha256"
    #: Seconds since 1970.
    timestamp: float | None = None
    #: To be read once the signature holds: that is how a subscription is agreed to.
    confirm_url: str | None = None
    #: What is signed, and used for this delivery alone.
    nonce: str | None = None


class CertificateScheme(msgspec.Struct, frozen=True, kw_only=True):
    """RSA with PKCS#1 v1.5 (RFC 8017 §8.2), by a key whose certificate is fetched from the vendor.

    `find` is given the values of `field`: what says that a delivery is meant for us, as anybody may have the vendor
    sign something. `host` and `path` are regular expressions for the address, which stands in the delivery and is
    therefore not to be believed.
    """

    find: Callable[[Incoming, Sequence[str]], Certified]
    host: str
    path: str = ".+"
    field: str
    tolerance_s: float | None = None


class JwtScheme(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Web Token (RFC 7519) in `Authorization: Bearer`, signed with HS256.

    One of its claims is the SHA-256 of the body, in hex.
    """

    hash_claim: str
    #: The claim that is another one in each delivery (RFC 7519 §4.1.7).
    nonce_claim: str = "jti"
    tolerance_s: float | None = TOLERANCE_S
    field: str = "webhook_secret"


class TokenScheme(msgspec.Struct, frozen=True, kw_only=True):
    """No signature: a header with a value that both sides know. Whoever has seen one delivery can make another."""

    header: str
    prefix: str = ""
    field: str = "webhook_token"
    challenge: Challenge | None = None


class BasicScheme(msgspec.Struct, frozen=True, kw_only=True):
    """No signature: HTTP Basic (RFC 7617). Whoever has seen one delivery can make another."""

    user: str = "webhook_user"
    password: str = "webhook_password"  # noqa: S105  # the name of a field


Single = HmacScheme | PublicKeyScheme | CertificateScheme | JwtScheme | TokenScheme | BasicScheme


class EitherScheme(msgspec.Struct, frozen=True):
    """The vendor signs one API's deliveries this way and another's that way: the first whose header is there counts."""

    by_header: tuple[str, Single]
    otherwise: Single


Scheme = Single | EitherScheme


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor sends of its own accord."""

    scheme: Scheme
    #: The credentials that it is verified with; the provider declares them, as optional.
    secrets: tuple[str, ...]
    #: Cuts a verified delivery into its events; raises `WebhookError` for what it cannot read.
    split: Callable[[Incoming], Sequence[Notice]]
    #: The vendor's type and the body of one notice -> what it means, or None where there is no neutral word for it;
    #: raises `WebhookError` for a body that is not as the vendor has it.
    normalise: Callable[[str, bytes], Event | None] | None = None
    #: How a delivery that was taken is answered, where 200 will not do.
    acknowledge: Reply = Reply()
    #: Where all this is known from, and when it was read.
    source: str
