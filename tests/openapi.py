"""Checks exchanges against a vendor's OpenAPI description: path, query, body of the request, body of the answer.

A description lies beside the tests, reduced to what is used; the vendor's whole one is checked too where it is at hand.
Where it is known to be wrong, `overlay.json` says what is right, and how that is known.
"""

from __future__ import annotations

import json
import re
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema_rs
import pytest
import yaml

from contract_check import contracts_folder, to_json_schema
from fairlead.model.message import Request, Response

Document = dict[str, Any]


class Found(NamedTuple):
    """The operation of a request, and the part of the path that its template leaves open."""

    name: str
    operation: Document
    inner: dict[str, str]


class Description:
    """One description, or several of one vendor as one."""

    def __init__(self, *documents: Document) -> None:
        self._paths = [
            (path, methods, document) for document in documents for path, methods in document["paths"].items()
        ]

    def operation(self, request: Request) -> tuple[Found, Document]:
        """Find the operation of a request; fail the test where there is none."""
        for path, methods, document in self._paths:
            names = re.findall(r"{([^}]+)}", path)
            pattern = re.sub(r"\\{[^}]+\\}", "([^/]+)", re.escape(path))
            match = re.fullmatch(pattern, request.path)
            operation = methods.get(request.method.lower())
            if match and operation:
                inner = dict(zip(names, map(unquote, match.groups()), strict=True))
                return Found(f"{request.method} {path}", operation, inner), document
        raise AssertionError(f"The contract has no {request.method} {request.path}.")

    def check_request(self, request: Request, *, beyond: frozenset[str] = frozenset()) -> None:
        """Fail unless query and body are as the contract says; `beyond` are parameters known from elsewhere."""
        found, document = self.operation(request)
        parameters = [resolve(each, document) for each in found.operation.get("parameters", [])]
        known = {each["name"]: each for each in parameters if each["in"] == "query"}
        sent = dict(request.query)
        assert sent.keys() <= known.keys() | beyond, f"{found.name} has no {sent.keys() - known.keys()}."
        assert {name for name, each in known.items() if each.get("required")} <= sent.keys()
        body = resolve(found.operation.get("requestBody", {}), document).get("content", {})
        if not body:
            assert not request.body, f"{found.name} takes no body."
            return
        ((kind, content),) = body.items()
        sent_kind = dict(request.headers)["content-type"]
        assert sent_kind.startswith(kind), sent_kind
        schema = resolve(content["schema"], document)
        value = form_of(request, schema) if kind == "multipart/form-data" else json.loads(request.body)
        check(value, schema, document, found.name)

    def check_answer(self, request: Request, response: Response) -> None:
        """Fail unless the contract has an answer of this status, and the body is as it says."""
        found, document = self.operation(request)
        answers = found.operation["responses"]
        assert str(response.status) in answers, f"{found.name} does not answer {response.status}."
        content = resolve(answers[str(response.status)], document).get("content") or {}
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            assert not response.body, f"{found.name} answers {response.status} without a body."
            return
        assert response.headers["content-type"].startswith("application/json")
        check(response.json(), schema, document, f"{found.name} {response.status}")


def form_of(request: Request, schema: Document) -> Document:
    """Read a multipart form (RFC 7578) with Python's own reader: what may be sent twice is a list."""
    head = f"content-type: {dict(request.headers)['content-type']}\r\n\r\n".encode()
    form: Document = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
        form.setdefault(str(name), []).append(text)
    known = schema.get("properties", {})
    several = {name for name, each in known.items() if each.get("type") == "array"}
    return {name: values if name in several or len(values) > 1 else values[0] for name, values in form.items()}


def check(value: Any, schema: Document, document: Document, name: str) -> None:
    """Fail with the place and the reason."""
    root = {"components": to_json_schema(document.get("components", {}))}
    whole = {**to_json_schema(schema), **root}
    error = next(jsonschema_rs.validator_for(whole).iter_errors(value), None)
    assert error is None, f"{name}: {error.message} at {list(error.instance_path)}"


def resolve(node: Document, document: Document) -> Document:
    """Follow references to the shared part of a description."""
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def read_reduced(folder: Path) -> Description:
    """Read the description that lies beside the tests."""
    return Description(json.loads((folder / "contract.json").read_text("utf-8")))


def read_whole(folder: Path, *files: str) -> Description:
    """Read a vendor's whole description, mended as the overlay says; skip the test where it is not at hand."""
    documents = []
    for name in files:
        file = contracts_folder() / name
        if not file.is_file():
            pytest.skip(f"The vendor's description {name} is not in {file.parent}: set FAIRLEAD_CONTRACTS.")
        text = file.read_text("utf-8")
        documents.append(json.loads(text) if file.suffix == ".json" else yaml.safe_load(text))
    for change in json.loads((folder / "overlay.json").read_text("utf-8")).get("amendments", []):
        for document in documents:
            amend(document, change["at"], change["value"])
    return Description(*documents)


def amend(document: Document, at: list[str], value: Any) -> None:
    """Put a value where a path leads, if the way is there."""
    *way, last = at
    for key in way:
        if key not in document:
            return
        document = document[key]
    document[last] = value
