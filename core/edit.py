"""What can be edited about a head, and one chosen edit.

The attribute table is shared by the sliders, the command line and the weights: one name, one range, one meaning of +1.
This file knows no direction vector and no network; a strength is only a number until an engine applies it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from core.errors import InvalidEdit


@dataclass(frozen=True)
class Attribute:
    """One thing about a head that a slider changes."""

    name: str
    """Identifier, as in ``--edit NAME=STRENGTH``; compared without regard to case, hyphens and underscores."""
    label: str
    """What the slider says."""
    low: float
    """Smallest strength; -1 is one natural step."""
    high: float
    """Largest strength; +1 is one natural step."""
    description: str
    """What minus and plus do, for a person."""
    group: str = ""
    """Heading that its slider stands under."""

    def __post_init__(self) -> None:
        if not self.low <= 0.0 <= self.high:
            raise ValueError(f"the range of {self.name} must contain 0, got {self.low}..{self.high}")


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("Smile", "Smile", -2.0, 2.0, "Minus: a serious mouth; plus: a smile that shows the teeth.", "Expression"),
    Attribute("Mouth open", "Mouth open", -1.0, 1.0, "Minus: lips closed; plus: the jaw drops.", "Expression"),
    Attribute("Eyes open", "Eyes open", -1.0, 1.0, "Minus: lids lowered; plus: eyes wide open.", "Expression"),
    Attribute("Brows", "Brows", -1.0, 1.0, "Minus: thinner eyebrows; plus: thicker eyebrows.", "Expression"),
    Attribute("Age", "Age", -1.5, 1.5, "Minus: younger; plus: older.", "Face"),
    Attribute("Gender", "Gender", -1.5, 1.5, "Minus: more feminine; plus: more masculine.", "Face"),
    Attribute("Weight", "Weight", -1.5, 1.5, "Minus: a leaner face; plus: fuller cheeks, chin and neck.", "Face"),
    Attribute("Skin tone", "Skin tone", -2.0, 2.0, "Minus: lighter; plus: darker.", "Face"),
    Attribute("Eyeglasses", "Glasses", 0.0, 1.0, "Plus: glasses.", "Face"),
    Attribute("Hair length", "Hair length", -1.0, 1.5, "Minus: shorter hair; plus: longer hair.", "Hair"),
    Attribute("Hair colour", "Hair colour", -1.5, 1.5, "Minus: darker hair; plus: lighter hair.", "Hair"),
    Attribute("Bangs", "Bangs", -1.0, 1.0, "Minus: a free forehead; plus: hair that hangs into it.", "Hair"),
    Attribute("Beard", "Beard", 0.0, 1.5, "Plus: more beard.", "Hair"),
)
"""All attributes in the order of the sliders. A model may offer fewer: its input contract names them."""


def _key(name: str) -> str:
    """What names are compared by: ``hair-length``, ``Hair_Length`` and ``hair  length`` are one."""
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


_FORMER = {"hair": "hair length"}
"""Names of earlier versions, which sessions, scripts and weights may still hold."""
_BY_NAME = {_key(attribute.name): attribute for attribute in ATTRIBUTES}


def known_as(name: str) -> str:
    """The table's name for an attribute of weights; a name that the table does not have comes back as it is."""
    key = _key(name)
    found = _BY_NAME.get(_FORMER.get(key, key))
    return name if found is None else found.name


def attribute(name: str) -> Attribute:
    """The attribute of that name, without regard to case and to how its words are joined.

    Raises:
        InvalidEdit: there is none.
    """
    key = _key(name)
    found = _BY_NAME.get(_FORMER.get(key, key))
    if found is None:
        raise InvalidEdit(
            f"There is no attribute called “{name.strip()}”.",
            hint="Use one of " + ", ".join(known.name for known in ATTRIBUTES) + ".",
        )
    return found


@dataclass(frozen=True)
class LatentEdit:
    """Attribute to strength, immutable and hashable; empty means the reconstruction itself.

    Make one from ``LatentEdit.none`` with ``with_strength``, or from text with ``parse``. Two edits are equal when they
    do the same: zero strengths are not kept, and the order of changes does not matter.
    """

    strengths: tuple[tuple[str, float], ...] = ()
    """(name, strength) in the order of the table, no zeros."""

    none: ClassVar["LatentEdit"]
    """The edit that changes nothing."""

    def __post_init__(self) -> None:
        checked: dict[str, float] = {}
        for name, strength in self.strengths:
            known = attribute(name)
            if known.name in checked:
                raise InvalidEdit(f"{known.name} is given twice.", hint="Give each attribute once.")
            checked[known.name] = _within(known, strength)
        ordered = tuple((a.name, checked[a.name]) for a in ATTRIBUTES if checked.get(a.name, 0.0) != 0.0)
        object.__setattr__(self, "strengths", ordered)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "LatentEdit":
        """Read ``NAME=STRENGTH`` texts, as the command line has them.

        Raises:
            InvalidEdit: a text has another form, an unknown name, a strength that is no number or out of range, or a
                name comes twice.
        """
        pairs = []
        for text in texts:
            name, sign, number = text.partition("=")
            if not sign:
                raise InvalidEdit(f"“{text}” is not an edit.", hint="Write NAME=STRENGTH, for example Smile=1.")
            try:
                strength = float(number)
            except ValueError:
                raise InvalidEdit(
                    f"The strength “{number}” of {name.strip()} is not a number.",
                    hint="Write NAME=STRENGTH, for example Smile=1.",
                ) from None
            pairs.append((name, strength))
        return cls(tuple(pairs))

    @property
    def is_empty(self) -> bool:
        """Whether this is the reconstruction itself."""
        return not self.strengths

    def strength(self, name: str) -> float:
        """The strength of one attribute, 0 when it is not edited.

        Raises:
            InvalidEdit: there is no such attribute.
        """
        return dict(self.strengths).get(attribute(name).name, 0.0)

    def with_strength(self, name: str, strength: float) -> "LatentEdit":
        """A copy with one strength replaced.

        Raises:
            InvalidEdit: there is no such attribute, or the strength is out of its range.
        """
        known = attribute(name)
        others = tuple(pair for pair in self.strengths if pair[0] != known.name)
        return LatentEdit((*others, (known.name, strength)))

    def items(self) -> tuple[tuple[str, float], ...]:
        """(name, strength) of what is edited, in the order of the table."""
        return self.strengths

    def __str__(self) -> str:
        return ", ".join(f"{name} {strength:+g}" for name, strength in self.strengths) or "no edit"


LatentEdit.none = LatentEdit()


def _within(known: Attribute, strength: float) -> float:
    if not (math.isfinite(strength) and known.low <= strength <= known.high):
        raise InvalidEdit(
            f"{known.name} cannot be {strength:g}.",
            hint=f"Choose a strength from {known.low:g} to {known.high:g}.",
        )
    return float(strength)
