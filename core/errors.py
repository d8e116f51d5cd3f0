"""Every error a person can meet, with what to do about it.

One root, so that a front end needs a single ``except``. The message says what happened, ``hint`` what to do next; how
they are shown (banner, line on a terminal, JSON) is the front end's business. Programming mistakes stay ``ValueError``
and ``TypeError``: they are not for people and must not be shown as if they were.
"""


class CameoError(Exception):
    """Root of all errors that are meant for the person using the program.

    Args:
        message: what happened, one sentence.
        hint: what to do next, one sentence; empty when there is nothing to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """The class name: stable, for reports and scripts."""
        return type(self).__name__

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own __reduce__ would drop the keyword-only hint when an error crosses a process border.
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[CameoError], message: str, hint: str) -> CameoError:
    return kind(message, hint=hint)


class Cancelled(CameoError):
    """The person asked a running job to stop. Not a failure: nothing has changed."""

    def __init__(self, message: str = "Cancelled.", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)


class PhotoError(CameoError):
    """A photo could not be opened."""


class PhotoNotFound(PhotoError):
    """There is no file at the path."""


class PhotoUnreadable(PhotoError):
    """The file is there but is no picture that can be read: another format, truncated, empty, a folder, forbidden."""


class PhotoTooLarge(PhotoError):
    """The picture has more pixels than the program is willing to decode."""


class NoFaceFound(CameoError):
    """No face was found in the photo."""


class FaceNotUsable(CameoError):
    """A face was found, but it is too small or turned too far for the model."""


class WeightsMissing(CameoError):
    """The weights asked for, or one of their files, are not installed."""


class WeightsCorrupt(CameoError):
    """A weights file, or the manifest that describes it, is not what it should be."""


class ExportFailed(CameoError):
    """A result could not be written; what was there before is still there."""


class InvalidEdit(CameoError):
    """An edit names an unknown attribute or a strength outside its range."""


class SettingsUnreadable(CameoError):
    """The settings file exists but cannot be understood."""


class MemoryShort(CameoError):
    """There was not enough memory, not even for a smaller result."""
