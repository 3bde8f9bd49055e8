from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from fairlead.model.secret import Secret

VALUE = "sk_live_8731"


def in_a_traceback(secret: Secret) -> str:
    def fail(key: Secret) -> None:
        raise ValueError(key, f"{key}")

    try:
        fail(secret)
    except ValueError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        return "".join(lines)
    raise AssertionError


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda secret: format(secret, ">10"),
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret!a} {secret:>40}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "str.format": lambda secret: "{} {0!r}".replace("{}", "{0}").format(secret),
    "in a list": lambda secret: f"{[secret]} { ({'key': secret}) }",
    "traceback": in_a_traceback,
    "dir": lambda secret: repr([getattr(secret, name) for name in dir(secret) if name in {"__doc__", "__module__"}]),
    "struct": lambda secret: repr(msgspec.defstruct("Holder", [("key", object)])(key=secret)),
}


@pytest.mark.parametrize("how", SHOWN)
def test_no_text_shows_it(how: str) -> None:
    text = SHOWN[how](Secret(VALUE))
    assert VALUE not in text
    assert "***" in text or how == "dir"


def test_a_format_pads_the_mask() -> None:
    assert f"{Secret(VALUE):>5}" == "  ***"


def test_no_log_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    logger = logging.getLogger("test")
    logger.warning("key %s %r", secret, secret, extra={"key": secret})
    assert VALUE not in caplog.text
    assert "***" in caplog.text
    assert VALUE not in repr(vars(caplog.records[0]))


LEAVING: dict[str, Callable[[Secret], object]] = {
    **{f"pickle {n}": lambda secret, n=n: pickle.dumps(secret, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},  # type: ignore[misc]
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "msgspec json": msgspec.json.encode,
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec builtins": msgspec.to_builtins,
    "hash": hash,
    "vars": vars,
    "list": list,  # type: ignore[dict-item]
    "len": len,  # type: ignore[dict-item]
    "bytes": bytes,  # type: ignore[dict-item]
    "set attribute": lambda secret: setattr(secret, "value", VALUE),
}


@pytest.mark.parametrize("how", LEAVING)
def test_it_cannot_leave_by_accident(how: str) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        LEAVING[how](Secret(VALUE))
    assert VALUE not in str(caught.value)


def test_it_is_revealed_on_request() -> None:
    assert Secret(VALUE).reveal() == VALUE


def test_equality_is_that_of_the_values() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(f"{VALUE} ")
    assert Secret("ü") == Secret("ü")
    assert Secret(VALUE) != VALUE


def test_only_an_empty_one_is_false() -> None:
    assert Secret(VALUE)
    assert not Secret("")


def test_a_failed_comparison_does_not_show_it() -> None:
    one, other = Secret(VALUE), Secret("other")
    with pytest.raises(AssertionError) as caught:
        assert one == other
    assert VALUE not in str(caught.value)


def test_a_fingerprint_tells_values_apart_and_needs_the_key() -> None:
    key, other = b"k" * 32, b"o" * 32
    mark = Secret(VALUE).fingerprint(key)
    assert mark == Secret(VALUE).fingerprint(key)
    assert len({mark, Secret(VALUE).fingerprint(other), Secret(VALUE + "x").fingerprint(key)}) == 3
    assert VALUE.encode() not in mark
