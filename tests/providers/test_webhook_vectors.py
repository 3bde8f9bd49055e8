"""What vendors sign, and their libraries' tests sign, is told from what they did not: `vectors.json` beside each.

Values of `official` vectors are those of the vendor's own test suite or pages, the others were made by its rule.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.errors import WebhookError
from fairlead.runtime.registry import load_provider
from fairlead.spec.webhook import Scheme, Webhooks
from webhook_trial import URL, incoming, try_on

FILES = tuple(sorted(Path(__file__).parent.glob("*/vectors.json")))
ALL = [
    pytest.param(file.parent.name, vector, document, id=f"{file.parent.name}-{vector['name']}")
    for file in FILES
    for document in [json.loads(file.read_text("utf-8"))]
    for vector in document["vectors"]
]
# How these vendors tell themselves from others leaves nothing to compute.
WITHOUT = {"looker", "postmark"}


def webhooks_of(name: str) -> Webhooks:
    found = load_provider(name).webhooks
    assert found is not None
    return found


def scheme_for(name: str, vector: dict[str, Any]) -> Scheme:
    """Return the vendor's scheme; a vector made of documents of many years ago is not asked how old it is."""
    scheme = webhooks_of(name).scheme
    return msgspec.structs.replace(scheme, tolerance_s=None) if vector.get("is_ageless") else scheme


@pytest.mark.parametrize(("name", "vector", "document"), ALL)
def test_it_is_told_from_what_somebody_else_made(name: str, vector: dict[str, Any], document: dict[str, Any]) -> None:
    delivery = incoming(
        vector.get("body", ""), vector["headers"], method=vector.get("method", "POST"), url=vector.get("url", URL)
    )
    certificate = document.get("certificate", "")
    pages = {
        url: (certificate if text == "certificate" else text).encode() for url, text in vector.get("pages", {}).items()
    }
    expected, now = vector["expected"], vector.get("now", 0)
    scheme = scheme_for(name, vector)
    if isinstance(expected, str) and expected != "accepted":
        with pytest.raises(WebhookError) as caught:
            try_on(scheme, delivery, vector["secrets"], now=now, pages=pages)
        assert caught.value.reason == expected
        return
    verdict, fetched = try_on(scheme, delivery, vector["secrets"], now=now, pages=pages)
    assert [each.url for each in fetched] == list(pages)
    if expected == "accepted":
        assert verdict.is_accepted
        assert verdict.reply is None
        if "nonce" in vector:
            assert verdict.nonce == vector["nonce"]
        return
    assert not verdict.is_accepted
    assert verdict.reply is not None
    assert verdict.reply.status == expected["status"]
    if "json" in expected:
        assert json.loads(verdict.reply.body) == expected["json"]
    else:
        assert verdict.reply.body.decode() == expected["body"]


def test_there_are_some_of_every_vendor_that_signs() -> None:
    provided = {path.stem for path in (Path(__file__).parents[2] / "src/fairlead/providers").iterdir()}
    sending = {name for name in provided if name[0] != "_" and load_provider(name).webhooks}
    # The envelope of `ses` is that of `sns`, and so is the scheme.
    assert {file.parent.name for file in FILES} == sending - WITHOUT - {"ses"}
    assert webhooks_of("ses").scheme == webhooks_of("sns").scheme
