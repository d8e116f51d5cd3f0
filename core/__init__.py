"""Cameo's library: one portrait photo in, an editable 3D head out.

This package imports nothing by itself, so that a value module (``core.camera``, ``core.photo`` ...) can be used without
loading PyTorch. It refuses to know that a window exists: ``gui`` is one front end on it, ``python -m core`` another.
"""

__version__ = "0.1.0"
