"""A view with its header (title, figures, tools) and a chip that speaks when something is to be said."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui import theme

HEADER_PX = 40
FIGURES_PX = 320
"""Narrower panes do without figures in their header."""


class Chip(QLabel):
    """A short notice that floats over a view.

    Args:
        parent: the pane it floats in.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setFont(theme.font(12, QFont.Weight.Medium))
        self.hide()

    def say(self, text: str, role: str = "text") -> None:
        """Show a text, or with an empty one nothing."""
        self.setVisible(bool(text))
        if not text:
            return
        self.setText(text)
        self.setStyleSheet(
            f"background: {theme.COLOURS['field']}; color: {theme.COLOURS[role]}; border-radius: 6px;"
            f" border: 1px solid {theme.COLOURS['line_strong']}; padding: 5px 12px; font-size: 12px;"
        )
        self.adjustSize()


class ViewPane(QFrame):
    """Header above, view below, chips over the view.

    Args:
        title: what the view shows.
        view: the view.
        parent: the owner.
    """

    def __init__(self, title: str, view: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewPane")
        self.view = view
        self.title = QLabel(title)
        self.title.setProperty("role", "strong")
        self.figures = QLabel()
        self.figures.setProperty("role", "faint")
        self.figures.setFont(theme.font(12, figures=True))
        self._tools = QHBoxLayout()
        self._tools.setSpacing(2)
        header = QFrame()
        header.setObjectName("viewHeader")
        header.setFixedHeight(HEADER_PX)
        row = QHBoxLayout(header)
        row.setContentsMargins(theme.GAP + 6, 0, theme.GAP, 0)
        row.setSpacing(theme.GAP + 2)
        row.addWidget(self.title)
        row.addWidget(self.figures)
        row.addStretch(1)
        row.addLayout(self._tools)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(header)
        layout.addWidget(view, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.top_chip = Chip(self)
        self.bottom_chip = Chip(self)

    def add_tool(self, button: QToolButton) -> None:
        """Put a button at the right of the header."""
        self._tools.addWidget(button)

    def say_at_top(self, text: str, role: str = "text") -> None:
        """A notice under the header, as for the limits of the camera."""
        self.top_chip.say(text, role)
        self._place_chips()

    def say_at_bottom(self, text: str, role: str = "text") -> None:
        """A notice at the foot, as for a mesh that is being rebuilt."""
        self.bottom_chip.say(text, role)
        self._place_chips()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the chips in the middle."""
        super().resizeEvent(event)
        self.figures.setVisible(self.width() >= FIGURES_PX)
        self._place_chips()

    def _place_chips(self) -> None:
        for chip, y in (
            (self.top_chip, HEADER_PX + 14),
            (self.bottom_chip, self.height() - self.bottom_chip.height() - 14),
        ):
            chip.move((self.width() - chip.width()) // 2, y)
            chip.raise_()
