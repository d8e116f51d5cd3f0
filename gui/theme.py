"""Colours, type, spacing and icons: the only file that knows what anything looks like in general.

A calm dark theme, because the picture is the subject. Widgets ask for a named colour or icon and never spell a value.
It refuses to know any widget of ours.
"""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QImage, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QSizePolicy, QStyleFactory, QWidget

RESOURCES = Path(__file__).resolve().parent.parent / "resources"

COLOURS: dict[str, str] = {
    "window": "#1b1c1f",
    "panel": "#222327",
    "raised": "#2b2c31",
    "hover": "#35373d",
    "pressed": "#3d3f46",
    "field": "#18191b",
    "line": "#313338",
    "line_strong": "#43454c",
    "text": "#e4e5e8",
    "muted": "#a0a3ab",
    "faint": "#7e828b",
    "accent": "#e0a070",
    "accent_hover": "#ecb083",
    "accent_pressed": "#cb8c5e",
    "on_accent": "#241a13",
    "error": "#e5736b",
    "error_ground": "#3a2322",
    "warning": "#e3b457",
    "warning_ground": "#352c1c",
    "good": "#79b987",
    "good_ground": "#1f2e24",
    "notice": "#7fa9d9",
    "notice_ground": "#202a36",
    "view_centre": "#36383e",
    "view_edge": "#1a1b1e",
}
"""Every colour by its role. ``view_*`` is the backdrop that picture and mesh share."""

GAP = 8
"""The unit of spacing in logical pixels; other distances are multiples or halves of it."""

_FONT_FILES = ("Inter-Regular.otf", "Inter-Medium.otf", "Inter-SemiBold.otf")


def colour(name: str) -> QColor:
    """The colour of a role.

    Raises:
        KeyError: there is no such role.
    """
    return QColor(COLOURS[name])


def apply(application: QApplication) -> None:
    """Dress the whole application: style, palette, font and style sheet."""
    application.setStyle(QStyleFactory.create("Fusion"))
    application.setFont(_load_font())
    application.setPalette(_palette())
    application.setStyleSheet(style_sheet())


def font(size: float = 13.0, weight: QFont.Weight = QFont.Weight.Normal, *, figures: bool = False) -> QFont:
    """The application's type at a size in logical pixels; ``figures`` gives digits of equal width."""
    made = QFont(QApplication.font())
    made.setPixelSize(round(size))
    made.setWeight(weight)
    if figures:
        made.setFeature(QFont.Tag("tnum"), 1)
    return made


def style_sheet() -> str:
    """The style sheet with every ``@role`` replaced by its colour and ``@icons`` by the folder of the icons."""
    text = (RESOURCES / "style" / "cameo.qss").read_text(encoding="utf-8")
    for name in sorted(COLOURS, key=len, reverse=True):
        text = text.replace(f"@{name}", COLOURS[name])
    return text.replace("@icons", (RESOURCES / "icons").as_posix())


@functools.cache
def icon(name: str, role: str = "text") -> QIcon:
    """A line icon in the colour of a role, with a dimmed disabled state.

    Raises:
        FileNotFoundError: there is no such icon.
    """
    made = QIcon()
    off = QColor(COLOURS["faint"])
    off.setAlphaF(0.55)
    for side in (16, 20, 24, 32, 48, 64):
        made.addPixmap(_drawn(name, COLOURS[role], side))
        made.addPixmap(_drawn(name, off.name(QColor.NameFormat.HexRgb), side, 0.6), QIcon.Mode.Disabled)
    return made


def pixmap(name: str, side: int, role: str = "text", ratio: float = 1.0) -> QPixmap:
    """An icon as a picture of ``side`` logical pixels, sharp at the given device pixel ratio."""
    made = _drawn(name, COLOURS[role], round(side * ratio))
    made.setDevicePixelRatio(ratio)
    return made


@functools.lru_cache(maxsize=4)
def backdrop(width: int, height: int) -> QImage:
    """The studio backdrop behind the head, in device pixels: the same formula as the mesh's shader.

    Dark gradients show bands in 8 bits; half a level of noise hides them.
    """
    radius = 0.62 * max(width, height)
    y, x = np.ogrid[:height, :width]
    share = np.hypot(x + 0.5 - width / 2, y + 0.5 - height / 2) / radius
    share = np.clip(share, 0.0, 1.0)[..., None].astype(np.float32)
    centre, edge = (_levels(colour(name)) for name in ("view_centre", "view_edge"))
    noise = np.random.default_rng(0).random((height, width, 1), dtype=np.float32)
    rows = np.zeros((height, width, 4), dtype=np.uint8)
    rows[..., :3] = np.floor(centre + (edge - centre) * share + noise)
    return QImage(rows.data, width, height, 4 * width, QImage.Format.Format_RGBX8888).copy()


def _levels(shade: QColor) -> NDArray[np.float32]:
    return np.array([shade.red(), shade.green(), shade.blue()], dtype=np.float32)


def _load_font() -> QFont:
    family = ""
    for file in _FONT_FILES:
        number = QFontDatabase.addApplicationFont(str(RESOURCES / "style" / "fonts" / file))
        families = QFontDatabase.applicationFontFamilies(number) if number >= 0 else []
        if families and not family:
            family = families[0]
    made = QFont(family) if family else QApplication.font()
    made.setPixelSize(13)
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return made


def _palette() -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: "window",
        QPalette.ColorRole.WindowText: "text",
        QPalette.ColorRole.Base: "field",
        QPalette.ColorRole.AlternateBase: "panel",
        QPalette.ColorRole.Text: "text",
        QPalette.ColorRole.Button: "raised",
        QPalette.ColorRole.ButtonText: "text",
        QPalette.ColorRole.ToolTipBase: "raised",
        QPalette.ColorRole.ToolTipText: "text",
        QPalette.ColorRole.PlaceholderText: "faint",
        QPalette.ColorRole.Highlight: "accent",
        QPalette.ColorRole.HighlightedText: "on_accent",
        QPalette.ColorRole.Link: "accent",
    }
    for role, name in roles.items():
        palette.setColor(role, colour(name))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, colour("faint"))
    return palette


@functools.cache
def _source(name: str) -> str:
    return (RESOURCES / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def _drawn(name: str, hexadecimal: str, side: int, opacity: float = 1.0) -> QPixmap:
    renderer = QSvgRenderer(QByteArray(_source(name).replace("currentColor", hexadecimal).encode()))
    made = QPixmap(QSize(side, side))
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setOpacity(opacity)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return made


def expanding() -> QSizePolicy:
    """The policy of buttons that share a row evenly."""
    return QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def keep_room(widget: QWidget) -> None:
    """Let a hidden widget keep its place, so that nothing jumps when it appears."""
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)
