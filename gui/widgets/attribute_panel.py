"""Sliders with numbers, built from the table of attributes; emits what a person wants, shows what the session has."""

from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.edit import Attribute, LatentEdit
from core.session import Changes
from gui import theme
from gui.session_model import SessionModel
from gui.widgets.slider_group import SliderGroup
from gui.widgets.strength_slider import KEY_STEP, StrengthSlider


class AttributeRow(QWidget):
    """One attribute: name, number, slider.

    Args:
        attribute: what it changes.
        parent: the owner.
    """

    moved = Signal(float)
    """The strength, while a person changes it."""
    settled = Signal()
    """One change is finished."""

    def __init__(self, attribute: Attribute, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.attribute = attribute
        self.label = QLabel(attribute.label)
        self.number = QDoubleSpinBox()
        self.number.setProperty("role", "number")
        self.number.setRange(attribute.low, attribute.high)
        self.number.setSingleStep(KEY_STEP)
        self.number.setDecimals(2)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number.setKeyboardTracking(False)
        self.number.setFixedWidth(58)
        self.number.setFont(theme.font(12, figures=True))
        self.slider = StrengthSlider(attribute.low, attribute.high)
        self.zero_button = QToolButton()
        self.zero_button.setIcon(theme.icon("reset", "muted"))
        self.zero_button.setIconSize(QSize(14, 14))
        self.zero_button.setFixedSize(22, 22)
        self.zero_button.setToolTip("Back to zero")
        self.zero_button.setAccessibleName(f"{attribute.label} back to zero")
        self.zero_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        theme.keep_room(self.zero_button)
        self.zero_button.clicked.connect(self._on_zeroed)
        tip = f"<b>{attribute.label}</b><br>{attribute.description}<br>Double-click: back to zero."
        for widget in (self.label, self.number, self.slider):
            widget.setToolTip(tip)
        self.slider.setAccessibleName(attribute.label)
        self.number.setAccessibleName(f"{attribute.label}, strength")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(1)
        grid.addWidget(self.label, 0, 0)
        grid.addWidget(self.zero_button, 0, 1)
        grid.addWidget(self.number, 0, 2)
        grid.setHorizontalSpacing(2)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self.slider, 1, 0, 1, 3)
        self.slider.moved.connect(self._on_slid)
        self.slider.settled.connect(self.settled)
        self.slider.zeroed.connect(self._on_zeroed)
        self.number.valueChanged.connect(self._on_typed)

    def set_strength(self, strength: float) -> None:
        """Show a strength without telling anybody."""
        self.slider.set_value(strength)
        self._show_number(strength)

    def _show_number(self, strength: float) -> None:
        self.number.blockSignals(True)
        self.number.setValue(strength)
        self.number.blockSignals(False)
        self.zero_button.setVisible(strength != 0.0)
        self.label.setProperty("role", "strong" if strength else "")
        self.label.style().unpolish(self.label)
        self.label.style().polish(self.label)

    def _on_slid(self, strength: float) -> None:
        self._show_number(strength)
        self.moved.emit(strength)

    def _on_zeroed(self) -> None:
        self.set_strength(0.0)
        self.moved.emit(0.0)
        self.settled.emit()

    def _on_typed(self, strength: float) -> None:
        self.slider.set_value(strength)
        self._show_number(strength)
        self.moved.emit(strength)
        self.settled.emit()


class AttributePanel(QWidget):
    """All sliders and the way back.

    Args:
        model: the session to show; the panel only reads it.
        attributes: the rows.
        parent: the owner.
    """

    moved = Signal(str, float)
    """Attribute name and strength, while a person changes it."""
    settled = Signal(str)
    """The attribute whose change is finished: one undo step."""
    reset_requested = Signal()
    """Everything back to zero, as one step."""

    def __init__(self, model: SessionModel, attributes: tuple[Attribute, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.rows: dict[str, AttributeRow] = {}
        self.groups: dict[str, SliderGroup] = {}
        heading = QLabel("EDIT")
        heading.setProperty("role", "heading")
        self.reset_button = QPushButton("Reset all")
        self.reset_button.setProperty("role", "quiet")
        self.reset_button.setToolTip("Back to the reconstruction (Ctrl+Backspace)")
        self.reset_button.clicked.connect(self.reset_requested)
        theme.keep_room(self.reset_button)
        top = QHBoxLayout()
        top.addWidget(heading)
        top.addStretch(1)
        top.addWidget(self.reset_button)
        self._column = QVBoxLayout()
        self._column.setSpacing(theme.GAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.GAP)
        layout.addLayout(top)
        layout.addLayout(self._column)
        self.set_attributes(attributes)
        model.changed.connect(self.on_changed)

    def set_attributes(self, attributes: tuple[Attribute, ...]) -> None:
        """Rebuild the rows, as when a model offers others; they stand under the headings of the table."""
        if tuple(row.attribute for row in self.rows.values()) == attributes:
            return
        for group in self.groups.values():
            self._column.removeWidget(group)
            group.deleteLater()
        self.rows, self.groups = {}, {}
        for attribute in attributes:
            row = AttributeRow(attribute)
            row.moved.connect(partial(self.moved.emit, attribute.name))
            row.settled.connect(partial(self.settled.emit, attribute.name))
            self.rows[attribute.name] = row
            self._group(attribute.group).add(row)
        self._show(self._model.edit)

    def _group(self, title: str) -> SliderGroup:
        if title not in self.groups:
            self.groups[title] = SliderGroup(title)
            self._column.addWidget(self.groups[title])
        return self.groups[title]

    def on_changed(self, changes: Changes, initiator: object) -> None:
        """Show what the session has, unless it is the echo of our own slider."""
        if initiator is not self and changes & (Changes.EDIT | Changes.INVERSION):
            self._show(self._model.edit)
        self._show_state()

    def _show(self, edit: LatentEdit) -> None:
        for name, row in self.rows.items():
            row.set_strength(edit.strength(name))
        self._show_state()

    def _show_state(self) -> None:
        self.setEnabled(self._model.inversion is not None)
        self.reset_button.setVisible(not self._model.edit.is_empty)
        edited = {row.attribute.group for name, row in self.rows.items() if self._model.edit.strength(name)}
        for title, group in self.groups.items():
            group.mark(changed=title in edited)
