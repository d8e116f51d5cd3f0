"""A message across the top of the work: what happened, what to do, and at most one thing to click."""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui import theme

LEAVES_MS = {"good": 9_000, "notice": 9_000, "warning": 20_000}
"""News leaves by itself, doubts later (the photo's panel keeps them); trouble stays until it is read."""

_ICONS = {"error": "error", "warning": "warning", "good": "check", "notice": "notice"}


@dataclass(frozen=True)
class Message:
    """Something to tell a person."""

    tone: str
    """error, warning, good or notice."""
    text: str
    """What happened."""
    hint: str = ""
    """What to do next."""
    action: str = ""
    """What the button says; empty means no button."""
    path: Path | None = None
    """What the button is about."""


class Banner(QFrame):
    """Shows one message at a time; the newest wins.

    Args:
        parent: the owner.
    """

    acted = Signal(object)
    """The Message whose button was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.message: Message | None = None
        self._icon = QLabel()
        self._icon.setFixedSize(22, 22)
        self._text = QLabel()
        self._text.setProperty("role", "strong")
        self._hint = QLabel()
        self._hint.setProperty("role", "muted")
        for label in (self._text, self._hint):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._button = QPushButton()
        self._button.clicked.connect(self._act)
        close = QToolButton()
        close.setIcon(theme.icon("close", "muted"))
        close.setToolTip("Dismiss (Esc)")
        close.clicked.connect(self.dismiss)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._text)
        words.addWidget(self._hint)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 10, 8, 10)
        row.setSpacing(12)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self._button)
        self._row = row
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self._leave = QTimer(self)
        self._leave.setSingleShot(True)
        self._leave.timeout.connect(self.dismiss)
        self.hide()

    @property
    def text(self) -> str:
        """What happened, as shown."""
        return self._text.text() if self.message else ""

    @property
    def hint(self) -> str:
        """What to do, as shown."""
        return self._hint.text() if self.message else ""

    def show_message(self, message: Message) -> None:
        """Show a message in place of the one before."""
        self.message = message
        self._text.setText(message.text)
        self._hint.setText(message.hint)
        self._hint.setVisible(bool(message.hint))
        self._button.setText(message.action)
        self._button.setVisible(bool(message.action))
        self._icon.setPixmap(theme.pixmap(_ICONS[message.tone], 22, message.tone, self.devicePixelRatioF()))
        self.setProperty("tone", message.tone)
        self.style().unpolish(self)
        self.style().polish(self)
        self.show()
        self._leave.stop()
        if message.tone in LEAVES_MS:
            self._leave.start(LEAVES_MS[message.tone])

    def height_for(self, width: int) -> int:
        """How tall it has to be at a width."""
        return self._row.totalHeightForWidth(width)

    def dismiss(self) -> None:
        """Take the message away."""
        self._leave.stop()
        self.message = None
        self.hide()

    def _act(self) -> None:
        if self.message is not None:
            self.acted.emit(self.message)
