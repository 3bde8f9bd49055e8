"""Checks requests and answers against a vendor's contract: our reduced one, or the vendor's whole description."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema_rs
import pytest
import yaml

from fairlead.model.message import Request, Response

Schema = dict[str, Any]

_ROOT = Path(__file__).parent.parent


class Operation(NamedTuple):
    """What a contract says of one operation. `root` holds what its schemas refer to."""

    name: str
    method: str
    path: str
    query: Mapping[str, Schema]
    required: frozenset[str]
    identifier: Schema
    answer: Schema
    root: Schema

    def matches(self, request: Request) -> bool:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path))
        return request.method == self.method and re.fullmatch(pattern, request.path) is not None


class Contract:
    """The operations of one vendor."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations

    def operation(self, request: Request) -> Operation:
        """Find the operation of a request; fail the test where the contract has none."""
        for each in self.operations:
            if each.matches(request):
                return each
        raise AssertionError(f"The contract has no {request.method} {request.path}.")

    def check_request(self, request: Request, *, beyond: frozenset[str] = frozenset()) -> None:
        """Fail unless path and query are as the contract says; `beyond` are parameters known from elsewhere."""
        operation = self.operation(request)
        sent = {name for name, _ in request.query}
        assert operation.required <= sent, f"{operation.name} lacks {operation.required - sent}."
        assert sent <= operation.query.keys() | beyond, f"{operation.name} has no {sent - operation.query.keys()}."
        for name, text in request.query:
            if name in operation.query:
                _check(_read(text, operation.query[name]), operation.query[name], operation.root, name)
        if "{id}" in operation.path:
            place = operation.path.split("/").index("{id}")
            identifier = _read(unquote(request.path.split("/")[place]), operation.identifier)
            _check(identifier, operation.identifier, operation.root, "id")

    def check_answer(self, request: Request, response: Response) -> None:
        """Fail unless a good answer has the shape that the contract says."""
        operation = self.operation(request)
        assert response.status == 200
        assert response.headers["content-type"].startswith("application/json")
        _check(response.json(), operation.answer, operation.root, operation.name)


class ErrorAnswer(NamedTuple):
    """What is known of an error that the contract does not describe, and how."""

    status: str
    evidence: str
    date: str
    body: Schema
    headers: tuple[str, ...]

    def covers(self, status: int) -> bool:
        return re.fullmatch(self.status.replace("x", r"\d"), str(status)) is not None


class Overlay:
    """What is known of a vendor beyond its contract."""

    def __init__(self, file: Path) -> None:
        document = json.loads(file.read_text("utf-8"))
        self.answers = [ErrorAnswer(**{**each, "headers": tuple(each["headers"])}) for each in document["answers"]]
        self.parameters: dict[str, str] = document["parameters"]

    def check(self, response: Response) -> None:
        """Fail unless an error has the shape that somebody has seen."""
        known = [each for each in self.answers if each.covers(response.status)]
        assert known, f"The overlay knows no {response.status}."
        _check(response.json(), known[0].body, {}, f"status {response.status}")
        assert set(known[0].headers) <= set(response.headers)


def read_reduced(file: Path) -> Contract:
    """Read the contract that lies beside the tests."""
    document = json.loads(file.read_text("utf-8"))
    return Contract(
        [
            Operation(
                name=name,
                method=each["method"],
                path=each["path"],
                query={
                    key: {word: value for word, value in schema.items() if word != "required"}
                    for key, schema in each["query"].items()
                },
                required=frozenset(key for key, schema in each["query"].items() if schema.get("required")),
                identifier=each.get("id", {}),
                answer=each["answer"],
                root={"$defs": document["$defs"]},
            )
            for name, each in document["operations"].items()
        ]
    )


def read_openapi(file: Path) -> Contract:
    """Read an OpenAPI description, as far as it tells what we ask."""
    text = file.read_text("utf-8")
    document = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    root = {"components": to_json_schema(document["components"])}
    operations = []
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            answer = each.get("responses", {}).get("200", {}).get("content", {}).get("application/json")
            if answer is None:
                continue
            found = [_resolve(parameter, document) for parameter in each.get("parameters", [])]
            query = {parameter["name"]: parameter for parameter in found if parameter["in"] == "query"}
            inner = {parameter["name"]: parameter for parameter in found if parameter["in"] == "path"}
            operations.append(
                Operation(
                    name=each["operationId"],
                    method=method.upper(),
                    path=path,
                    query={name: to_json_schema(parameter["schema"]) for name, parameter in query.items()},
                    required=frozenset(name for name, parameter in query.items() if parameter.get("required")),
                    identifier=inner.get("id", {}).get("schema", {}),
                    answer=to_json_schema(answer["schema"]),
                    root=root,
                )
            )
    return Contract(operations)


def contracts_folder() -> Path:
    """Return where the vendors' whole descriptions are, if they are anywhere."""
    folder = os.environ.get("FAIRLEAD_CONTRACTS")  # noqa: TID251  # a setting of the tests, not of Fairlead
    return Path(folder or _ROOT.parent / "shared" / "contracts")


def whole_contract(place: str) -> Contract:
    """Read a vendor's whole description, which is not ours to ship; skip the test where it is not at hand."""
    file = contracts_folder() / place
    if not file.is_file():
        pytest.skip(f"The vendor's description {place} is not in {file.parent}: set FAIRLEAD_CONTRACTS to its folder.")
    return read_openapi(file)


def _check(value: Any, schema: Schema, root: Schema, name: str) -> None:
    """Fail with the place and the reason."""
    error = next(jsonschema_rs.validator_for({**schema, **root}).iter_errors(value), None)
    assert error is None, f"{name}: {error.message} at {list(error.instance_path)}"


def _read(text: str, schema: Schema) -> Any:
    """Read a query value as what the schema says it is; what cannot be read stays, and fails the check."""
    kind = schema.get("type")
    if kind in {"integer", "number"} and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return json.loads(text)
    return text == "true" if kind == "boolean" and text in {"true", "false"} else text


def _resolve(parameter: Schema, document: Schema) -> Schema:
    """Follow a reference to a shared parameter."""
    target: Any = document
    if "$ref" not in parameter:
        return parameter
    for key in parameter["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return dict(target)


def to_json_schema(value: Any) -> Any:
    """Turn OpenAPI 3.0's `nullable` into JSON Schema's list of types; the rest of what we use is the same."""
    if isinstance(value, list):
        return [to_json_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    schema = {key: to_json_schema(each) for key, each in value.items() if key not in {"example", "examples"}}
    if schema.pop("nullable", False) is True:
        schema["type"] = [schema["type"], "null"]
    return schema
