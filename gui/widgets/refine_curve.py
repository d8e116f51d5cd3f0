"""The curve of a refinement: two figures over its steps, the stop that was chosen, and points to choose instead.

Both lines are drawn against what they were before the refinement, so that one scale serves them. A click on a point
that was kept asks for it.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from gui import theme

HEIGHT_PX = 150
POINT_PX, CHOSEN_PX = 7, 12
LINES = (("novel_identity", "muted", "identity from the sides"), ("mae", "accent", "difference"))


class RefineCurve(QWidget):
    """Draws curves as reports and glimpses have them.

    Args:
        parent: the owner.
    """

    step_clicked = Signal(int)
    """A point that may be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.points: tuple[int, ...] = ()
        """Steps that a click may choose."""
        self.chosen = 0
        """Step that is marked."""
        self._plot = pg.PlotWidget(background=theme.colour("field"))
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(theme.colour("line_strong"))
            axis.setTextPen(theme.colour("muted"))
            axis.setStyle(tickFont=theme.font(10.0, figures=True))
        self._plot.getAxis("left").setWidth(34)
        self._lines = {key: self._plot.plot(pen=_pen(colour)) for key, colour, _ in LINES}
        self._stop = pg.InfiniteLine(0.0, pen=pg.mkPen(theme.colour("faint"), style=Qt.PenStyle.DashLine))
        self._plot.addItem(self._stop)
        self._dots = pg.ScatterPlotItem(pen=None)
        self._dots.sigClicked.connect(self._on_clicked)
        self._plot.addItem(self._dots)
        self.setFixedHeight(HEIGHT_PX)
        self.setAccessibleName("Curve of the refinement")
        self.setToolTip(
            "Compared with the head before: difference at the photo (bright) and identity distance from the sides "
            "(grey); lower is better. The dashed line marks the stop. Click another point to go there."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._plot)

    def show_curve(
        self, curve: Sequence[Mapping[str, float]], chosen: int, points: Collection[int] = (), steps: int | None = None
    ) -> None:
        """Draw.

        Args:
            curve: points with ``step``, ``mae`` and ``novel_identity``.
            chosen: step that is marked.
            points: steps that a click may choose.
            steps: how many there will be; as many as there are by default.
        """
        self.points, self.chosen = tuple(points), chosen
        if not curve:
            return
        at = np.array([point["step"] for point in curve], dtype=float)
        shares = {}
        for key, line in self._lines.items():
            values = np.array([point[key] for point in curve])
            shares[key] = values / max(values[0], 1e-9)
            line.setData(at, shares[key])
        self._stop.setValue(chosen)
        self._plot.setXRange(0.0, float(max(steps or 0, at[-1], 1.0)), padding=0.04)
        self._plot.setYRange(0.0, float(max(1.05, *(values.max() for values in shares.values()))), padding=0.02)
        self._dots.setData(
            [
                {
                    "pos": (point["step"], share),
                    "size": CHOSEN_PX if point["step"] == chosen else POINT_PX,
                    "brush": theme.colour("accent" if self._may(int(point["step"])) else "faint"),
                    "data": int(point["step"]),
                }
                for point, share in zip(curve, shares["mae"], strict=True)
            ]
        )

    def _may(self, step: int) -> bool:
        return step in self.points or step == self.chosen

    def _on_clicked(self, item: object, spots: Sequence[pg.SpotItem], event: object = None) -> None:
        for spot in spots:
            if spot.data() in self.points and spot.data() != self.chosen:
                self.step_clicked.emit(spot.data())
                return


def _pen(role: str) -> object:
    return pg.mkPen(QColor(theme.colour(role)), width=2)
