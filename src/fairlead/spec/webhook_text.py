"""What a webhook scheme comes to, in words for people."""

from __future__ import annotations

from fairlead.spec.webhook import (
    BasicScheme,
    CertificateScheme,
    EitherScheme,
    HmacScheme,
    JwtScheme,
    PublicKeyScheme,
    Scheme,
    TokenScheme,
)


def scheme_text(scheme: Scheme) -> str:
    """Say what is checked, as in `HMAC-SHA256 in x-hub-signature, of the body`."""
    match scheme:
        case EitherScheme(by_header=(_, first), otherwise=second):
            return f"{scheme_text(first)}; or {scheme_text(second)}"
        case HmacScheme():
            return _digest_text(scheme)
        case PublicKeyScheme():
            return f"ECDSA-SHA256 in {scheme.header}, of time and body; {_age_text(scheme.tolerance_s)}"
        case CertificateScheme():
            return (
                f"RSA by a certificate that the vendor publishes, and {scheme.field}; {_age_text(scheme.tolerance_s)}"
            )
        case JwtScheme():
            return f"a JSON Web Token over the digest of the body; {_age_text(scheme.tolerance_s)}"
        case TokenScheme():
            return f"a token in {scheme.header}; nothing is signed"
        case BasicScheme():
            return "user and password of HTTP Basic; nothing is signed"


def _digest_text(scheme: HmacScheme) -> str:
    names = " or ".join(each.upper() for each in scheme.algorithms)
    kind = f"HMAC-{names}" if scheme.is_keyed else f"{names} with the secret"
    if scheme.find is not None:
        return f"{kind}, of what the vendor's own rule says"
    parts = [name for name in ("url", "id", "timestamp", "body") if f"{{{name}}}" in scheme.message]
    of = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))).replace("timestamp", "time")
    is_timed = "timestamp" in parts
    return f"{kind} in {scheme.header}, of {of}" + (f"; {_age_text(scheme.tolerance_s)}" if is_timed else "; no time")


def _age_text(tolerance_s: float | None) -> str:
    """Say how far the time of a signature may be from ours."""
    if tolerance_s is None:
        return "no time"
    size, name = next(each for each in ((86_400, "days"), (3600, "hours"), (60, "minutes")) if tolerance_s >= each[0])
    return f"within {tolerance_s / size:g} {name}"
