"""Faces in photos: finding them, the FFHQ frame, the head matte, a first pose. Knows nothing of networks of heads."""

from core.alignment.aligned import AlignedFace, align
from core.alignment.detection import DETECTORS, detect_faces
from core.alignment.values import DetectedFace, Framing

__all__ = ["DETECTORS", "AlignedFace", "DetectedFace", "Framing", "align", "detect_faces"]
