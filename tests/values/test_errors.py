"""Errors carry what a person needs, wherever they travel."""

import pickle

import pytest

from core import errors
from core.errors import CameoError, Cancelled, NoFaceFound

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CameoError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_keeps_message_hint_and_kind_on_its_way_between_processes(kind: type[CameoError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It happened.", hint="Do this.")))
    assert (type(error), error.message, str(error), error.hint) == (kind, "It happened.", "It happened.", "Do this.")
    assert error.kind == kind.__name__


def test_cancelling_needs_no_words() -> None:
    assert Cancelled().message == "Cancelled."
    assert Cancelled().hint == ""


def test_one_except_catches_them_all() -> None:
    with pytest.raises(CameoError):
        raise NoFaceFound("No face.")
