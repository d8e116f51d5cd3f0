"""A heading that folds what stands under it away, so that many sliders stay few to look at.

It knows no attribute: rows are put into it, and a dot on a folded heading says that one of them is not at zero.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from gui import theme


class SliderGroup(QWidget):
    """Rows under a heading that opens and folds them.

    Args:
        title: the heading.
        parent: the owner.
    """

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._changed = False
        self.heading = QToolButton()
        self.heading.setProperty("role", "fold")
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setCheckable(True)
        self.heading.setChecked(True)
        self.heading.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.heading.toggled.connect(self._on_toggled)
        self._inside = QWidget()
        self._column = QVBoxLayout(self._inside)
        self._column.setContentsMargins(0, 0, 0, 4)
        self._column.setSpacing(theme.GAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.GAP - 4)
        layout.addWidget(self.heading)
        layout.addWidget(self._inside)
        self._show_heading()

    @property
    def is_open(self) -> bool:
        """Whether the rows are shown."""
        return self.heading.isChecked()

    def add(self, row: QWidget) -> None:
        """Put a row below the others."""
        self._column.addWidget(row)

    def mark(self, *, changed: bool) -> None:
        """Say whether any row is away from zero."""
        if changed != self._changed:
            self._changed = changed
            self._show_heading()

    def _on_toggled(self, on: bool) -> None:
        self._inside.setVisible(on)
        self._show_heading()

    def _show_heading(self) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if self.is_open else Qt.ArrowType.RightArrow)
        dot = "  •" if self._changed and not self.is_open else ""
        self.heading.setText(f"{self._title}{dot}")
        self.heading.setToolTip(f"{'Fold' if self.is_open else 'Open'} {self._title.lower()}")
        self.heading.setAccessibleName(f"{self._title}, sliders")
