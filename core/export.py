"""Writers of results: mesh, turntable, picture. Each file appears whole or not at all.

Everything is first written to a temporary file beside its target and moved there at the end, so that a cancelled or
failed export leaves what was there before. Knows no network: values in, files out.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.aside import Aside
from core.errors import ExportFailed
from core.frame import Frame
from core.job import Job
from core.surface import SurfaceMesh

logger = logging.getLogger(__name__)

MESH_FORMATS = ("glb", "obj", "ply", "stl")
TURNTABLE_FORMATS = ("mp4", "webm", "gif")
DEFAULT_FPS = 25
# Encoders by preference, with options that make 256 to 1024 px heads look clean. x264 is deliberately absent: it is
# GPL (docs/decisions: turntable codecs). VideoToolbox is macOS's own; MPEG-4 part 2 is the last resort that is always
# there.
_ENCODERS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "mp4": (
        ("h264_videotoolbox", {"q": "70"}),
        ("libopenh264", {"b": "6000000"}),
        ("libvpx-vp9", {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}),
        ("mpeg4", {"q": "2"}),
    ),
    "webm": (("libvpx-vp9", {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}),),
}


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes it when the block ends well, and vanishes when it does not.

    Raises:
        ExportFailed: the folder or the file cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes files private; results get the permissions that an ordinary new file would have.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        logger.info("wrote %s", path)
    except (OSError, av.FFmpegError) as error:
        raise ExportFailed(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Choose another folder, or free some space on the disk.",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _format_of(path: Path, known: tuple[str, ...], what: str) -> str:
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in known:
        raise ExportFailed(
            f"“{path.name}” does not name a kind of {what} that can be written.",
            hint="Use one of " + ", ".join(f".{name}" for name in known) + ".",
        )
    return suffix


def write_bytes(content: bytes, path: Path) -> None:
    """Write a finished file.

    Raises:
        ExportFailed: it cannot be written.
    """
    with _whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write a picture; the suffix chooses the format (png by habit).

    Shape:
        pixels: (H, W, 3) or (H, W, 4) uint8 sRGB.

    Raises:
        ExportFailed: the suffix is unknown or the file cannot be written.
    """
    buffer = io.BytesIO()
    suffix = _format_of(path, ("png", "jpg", "jpeg", "webp"), "picture")
    options: dict[str, int] = {"compress_level": 4} if suffix == "png" else {"quality": 95}
    picture = Image.fromarray(pixels)
    picture.save(buffer, format="JPEG" if suffix in ("jpg", "jpeg") else suffix.upper(), **options)
    write_bytes(buffer.getvalue(), path)


def write_mesh(mesh: SurfaceMesh, path: Path) -> None:
    """Write a mesh with normals and vertex colours where the format has them (stl has neither).

    Raises:
        ExportFailed: the suffix is unknown or the file cannot be written.
    """
    import trimesh  # slow to import, and only exports need it

    suffix = _format_of(path, MESH_FORMATS, "mesh")
    opaque = np.full((len(mesh.colours), 1), 255, dtype=np.uint8)
    surface = trimesh.Trimesh(
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_normals=mesh.normals,
        vertex_colors=np.concatenate((mesh.colours, opaque), axis=1),
        process=False,
    )
    writers: dict[str, Callable[[], bytes | str]] = {
        "glb": lambda: surface.export(file_type="glb", include_normals=True),
        "obj": lambda: surface.export(file_type="obj", include_normals=True, include_color=True),
        "ply": lambda: surface.export(file_type="ply", vertex_normal=True),
        "stl": lambda: surface.export(file_type="stl"),
    }
    content = writers[suffix]()
    write_bytes(content.encode() if isinstance(content, str) else content, path)


def write_meshes(meshes: Iterable[SurfaceMesh], path: Path) -> None:
    """Write the one mesh that comes, with everything loaded before it does: for a process that is started ahead."""
    importlib.import_module("trimesh")
    for mesh in meshes:
        write_mesh(mesh, path)


def write_turntable(frames: Iterable[Frame], path: Path, fps: int = DEFAULT_FPS) -> None:
    """Write frames as a video while they are made; see :func:`write_video`."""
    write_video((frame.pixels for frame in frames), path, fps)


def write_video(pictures: Iterable[NDArray[np.uint8]], path: Path, fps: int = DEFAULT_FPS) -> None:
    """Write pictures as a video while they are made; the suffix chooses mp4, webm or gif.

    Shape:
        pictures: square, (S, S, 3) uint8 sRGB.

    Raises:
        ExportFailed: the suffix is unknown, there is no frame, or the file cannot be written.
    """
    suffix = _format_of(path, TURNTABLE_FORMATS, "video")
    pictures = iter(pictures)
    try:
        first = next(pictures)
    except StopIteration:
        raise ExportFailed("A turntable needs at least one frame.", hint="Ask for more frames.") from None
    with _whole_file(path) as temporary:
        if suffix == "gif":
            _encode_gif(chain((first,), pictures), temporary, fps)
        else:
            _encode_video(chain((first,), pictures), temporary, suffix, fps, first.shape[0])


def mesh_aside(make: Callable[[], SurfaceMesh], path: Path, job: Job) -> None:
    """Write a mesh by a process of its own (:mod:`core.aside`), which starts while the mesh is made.

    Args:
        make: Makes the mesh, reporting to its own share of the job.
        path: As for :func:`write_mesh`.
        job: Rests and can be cancelled while the file is written.

    Raises:
        ExportFailed: As for :func:`write_mesh`, or the process died.
        Cancelled: Somebody asked to stop; what was there before is still there.
    """
    with Aside[None](partial(write_meshes, path=path)) as writing:
        mesh = make()
        rest = partial(job.report, 0.0, "Writing the file")
        rest()
        writing.send(mesh, rest)
        writing.finish(rest)


def turntable_aside(frames: Iterable[Frame], path: Path, fps: int, job: Job) -> None:
    """Write a video by a process of its own while its frames are made; otherwise as :func:`mesh_aside`."""
    with Aside[None](partial(write_video, path=path, fps=fps)) as writing:
        for frame in frames:
            writing.send(frame.pixels, partial(job.report, 0.0, "Waiting for the video's encoder"))
        writing.finish(partial(job.report, 1.0, "Finishing the video"))


def encoder_for(suffix: str) -> tuple[str, dict[str, str]]:
    """The first encoder of the preference list that this PyAV has, and its options.

    Raises:
        ExportFailed: it has none of them.
    """
    for name, options in _ENCODERS[suffix]:
        if name in av.codecs_available:
            return name, options
    raise ExportFailed(f"This PyAV cannot encode {suffix}.", hint="Install the PyAV wheel from PyPI.")


def _encode_video(pictures: Iterable[NDArray[np.uint8]], path: Path, suffix: str, fps: int, size: int) -> None:
    """Encode yuv420p video of square pictures; odd sizes lose their last row and column (chroma is halved)."""
    name, options = encoder_for(suffix)
    even = size - size % 2
    with av.open(str(path), "w", format=suffix) as container:
        stream = container.add_stream(name, rate=fps, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = even, even, "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:even, :even]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _encode_gif(pictures: Iterable[NDArray[np.uint8]], path: Path, fps: int) -> None:
    """Encode an endless gif with one palette, taken from the first picture (the same head is in all of them)."""
    palette_source: Image.Image | None = None
    with av.open(str(path), "w", format="gif", options={"loop": "0"}) as container:
        stream = container.add_stream("gif", rate=Fraction(fps))
        stream.pix_fmt = "pal8"
        for picture in pictures:
            image = Image.fromarray(picture)
            if palette_source is None:
                stream.width, stream.height = image.size
                palette_source = image.quantize(256, method=Image.Quantize.MEDIANCUT)
            indices = np.asarray(image.quantize(palette=palette_source, dither=Image.Dither.FLOYDSTEINBERG))
            colours = np.zeros((256, 4), dtype=np.uint8)
            listed = np.asarray(palette_source.getpalette(), dtype=np.uint8).reshape(-1, 3)
            # PyAV wants ARGB rows.
            colours[:, 0] = 255
            colours[: len(listed), 1:] = listed
            container.mux(stream.encode(av.VideoFrame.from_ndarray((indices, colours), format="pal8")))
        container.mux(stream.encode())
