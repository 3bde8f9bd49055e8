from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable, Iterator

import pytest

from fairlead import errors
from fairlead.errors import FairleadError, UnexpectedAnswerError
from fairlead.model.attempt import Attempt
from fairlead.model.outcome import Outcome

KINDS = tuple(kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FairleadError))
Duplicate = Callable[[FairleadError], FairleadError]
ATTEMPT = Attempt(connection="a", outcome=Outcome.UNKNOWN, seconds=0.5, status=503, error="unavailable")


def drawn() -> Iterator[tuple[str, str]]:
    """Read the drawing at the top of the module: each class, and the one above it."""
    above = ["FairleadError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│ ]*)[├└]── (\w+)", line)
        if match:
            depth = len(match[1]) // 4 + 1
            del above[depth:]
            yield match[2], above[-1]
            above.append(match[2])


def test_the_drawing_is_the_tree() -> None:
    real = {(kind.__name__, kind.__base__.__name__) for kind in KINDS if kind.__base__ and kind is not FairleadError}
    assert set(drawn()) == real


def test_nothing_is_drawn_twice() -> None:
    names = [name for name, _ in drawn()]
    assert len(names) == len(set(names))


def test_codes_are_unique_and_like_the_names() -> None:
    codes = {kind.code: kind for kind in KINDS}
    assert len(codes) == len(KINDS)
    for code, kind in codes.items():
        words = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()
        assert code == ("error" if kind is FairleadError else words)


def through_pickle(error: FairleadError) -> FairleadError:
    again: FairleadError = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    return again


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_is_the_default_message(kind: type[FairleadError]) -> None:
    first = (inspect.getdoc(kind) or "").splitlines()[0]
    assert kind().message == first
    assert first.endswith(".")
    assert str(kind()) == first
    assert kind("").message == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("duplicate", [through_pickle, copy.copy, copy.deepcopy])
def test_an_error_survives_the_way_to_another_process(kind: type[FairleadError], duplicate: Duplicate) -> None:
    error = kind("No.", hint="Wait.", outcome=Outcome.NOT_DONE, retry_after_s=3.0, status=429)
    error.locate(provider="p", connection="c", operation="recipes.search", call_id="1", attempts=(ATTEMPT,))
    again = duplicate(error)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error) == "c: recipes.search: No. Wait."


def test_where_the_answer_went_wrong_survives_too() -> None:
    again = through_pickle(UnexpectedAnswerError("No.", path="$.a", is_garbled=True))
    assert isinstance(again, UnexpectedAnswerError)
    assert (again.path, again.is_garbled) == ("$.a", True)


@pytest.mark.parametrize(
    ("whom", "text"),
    [
        ({}, "No. Wait."),
        ({"connection": "c"}, "c: No. Wait."),
        ({"operation": "recipes.search"}, "recipes.search: No. Wait."),
        ({"connection": "c", "operation": "recipes.search"}, "c: recipes.search: No. Wait."),
    ],
)
def test_the_text_says_to_whom_and_what_to_do(whom: dict[str, str], text: str) -> None:
    error = FairleadError("No.", hint="Wait.")
    assert error.locate(**whom) is error  # type: ignore[arg-type]  # a test's table of keywords
    assert str(error) == text


def test_without_a_hint_nothing_trails() -> None:
    assert str(FairleadError("No.")) == "No."


def test_what_is_known_already_stays() -> None:
    error = FairleadError().locate(connection="first", call_id="1")
    error.locate(provider="p", connection="second", operation="o", call_id="2", attempts=(ATTEMPT,))
    error.locate(attempts=())
    assert (error.provider, error.connection, error.operation, error.call_id) == ("p", "first", "o", "1")
    assert error.attempts == (ATTEMPT,)


def test_only_faults_of_the_request_keep_another_vendor_from_being_asked() -> None:
    at_fault = {kind.__name__ for kind in KINDS if kind.is_request_fault}
    assert at_fault == {
        "ConfigError", "ConfigFileError", "UnknownSettingError", "InvalidSettingError", "MissingCredentialError",
        "UnresolvedReferenceError", "UsageError", "InvalidArgumentError", "UnknownProviderError",
        "UnknownConnectionError", "UnknownRouteError", "SignatureError", "NotFoundError", "ConflictError",
        "InvalidRequestError", "FileError", "StorageError", "OutcomeUnknownError", "UnknownCallError",
        "KeyReusedError", "CallCancelledError", "SuppressedError", "DeclinedError",
    }  # fmt: skip
