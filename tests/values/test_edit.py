"""Edits are values: equal when they do the same, refused when they cannot be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.edit import ATTRIBUTES, Attribute, LatentEdit, attribute, known_as
from core.errors import InvalidEdit

NAMES = [known.name for known in ATTRIBUTES]

# Every slider goes at least one natural step up.
edits = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1)).map(lambda chosen: LatentEdit(tuple(chosen.items())))


def test_the_attributes_everybody_counts_on_exist() -> None:
    assert set(NAMES) == {
        *("Smile", "Mouth open", "Eyes open", "Brows", "Age", "Gender", "Weight", "Skin tone"),
        *("Hair length", "Hair colour", "Bangs", "Beard", "Eyeglasses"),
    }


def test_attributes_of_one_group_stand_together() -> None:
    groups = [known.group for known in ATTRIBUTES]
    assert all(groups)
    assert [group for i, group in enumerate(groups) if group not in groups[:i]] == list(dict.fromkeys(groups))
    assert len([1 for a, b in pairwise(groups) if a != b]) == len(set(groups)) - 1


@pytest.mark.parametrize("known", ATTRIBUTES, ids=NAMES)
def test_every_attribute_has_room_for_a_natural_step_and_words(known: Attribute) -> None:
    assert known.high >= 1.0
    assert known.low == 0.0 or known.low <= -1.0
    assert known.label
    assert known.description.endswith(".")


def test_a_range_without_zero_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="contain 0"):
        Attribute("x", "x", 1.0, 2.0, "")


@given(edits, st.sampled_from(NAMES), st.floats(0, 1))
def test_what_is_set_can_be_read_and_nothing_else_changes(edit: LatentEdit, name: str, strength: float) -> None:
    changed = edit.with_strength(name, strength)
    assert changed.strength(name) == strength
    assert all(changed.strength(other) == edit.strength(other) for other in NAMES if other != name)


@given(edits)
def test_writing_and_parsing_gives_the_same_edit(edit: LatentEdit) -> None:
    assert LatentEdit.parse(f"{name}={strength!r}" for name, strength in edit.items()) == edit


@given(edits, st.randoms())
def test_the_order_of_changes_does_not_matter(edit: LatentEdit, random: object) -> None:
    pairs = list(edit.items())
    random.shuffle(pairs)
    again = LatentEdit.none
    for name, strength in pairs:
        again = again.with_strength(name, strength)
    assert again == edit
    assert hash(again) == hash(edit)


@given(edits, st.sampled_from(NAMES))
def test_zero_is_as_good_as_nothing(edit: LatentEdit, name: str) -> None:
    cleared = edit.with_strength(name, 0.0)
    assert name not in dict(cleared.items())
    assert cleared.is_empty == (set(dict(edit.items())) <= {name})


def test_names_are_found_without_regard_to_case() -> None:
    assert LatentEdit.parse(["sMILE=1", " eyeglasses =0.5"]) == LatentEdit((("Smile", 1.0), ("Eyeglasses", 0.5)))
    assert attribute("AGE").name == "Age"


@pytest.mark.parametrize("text", ["Hair length=1", "hair-length=1", "HAIR_LENGTH=1", " hair  length =1"])
def test_names_of_two_words_may_be_joined_in_any_way(text: str) -> None:
    assert LatentEdit.parse([text]) == LatentEdit((("Hair length", 1.0),))


def test_former_names_are_still_understood() -> None:
    assert LatentEdit.parse(["Hair=-1"]).items() == (("Hair length", -1.0),)
    assert known_as("Hair") == "Hair length"
    assert known_as("Bangs_of_another_model") == "Bangs_of_another_model"


def test_an_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(InvalidEdit) as refusal:
        attribute("hairs")
    assert all(name in refusal.value.hint for name in NAMES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Smile", "not an edit"),
        ("Smile=", "not a number"),
        ("Smile=much", "not a number"),
        ("Smile=nan", "cannot be"),
        ("Smile=inf", "cannot be"),
        ("Smile=2.5", "cannot be"),
        ("Beard=-1", "cannot be"),
        ("Nose=1", "no attribute"),
        ("=1", "no attribute"),
    ],
)
def test_a_bad_edit_is_refused_with_a_hint(text: str, says: str) -> None:
    with pytest.raises(InvalidEdit, match=says) as refusal:
        LatentEdit.parse([text])
    assert refusal.value.hint.endswith(".")


def test_an_attribute_given_twice_is_refused() -> None:
    with pytest.raises(InvalidEdit, match="twice"):
        LatentEdit.parse(["Smile=1", "smile=2"])


def test_an_edit_can_be_shown() -> None:
    assert str(LatentEdit.none) == "no edit"
    assert str(LatentEdit.parse(["Hair length=-1", "Smile=0.5"])) == "Smile +0.5, Hair length -1"
