"""Sixty real portraits that nothing is tuned on: at least 58 align. The photos are not part of the repository."""

import pytest

from core.alignment import align, detect_faces
from core.errors import CameoError
from core.job import Job
from core.photo import Photo
from tests.alignment.conftest import SHARED


@pytest.mark.slow
def test_at_least_58_of_60_portraits_align() -> None:
    paths = sorted((SHARED / "photos").glob("portrait_*.jpg"))
    if not paths:
        pytest.skip("the sixty test portraits are not here; they are not part of the repository")
    failures = []
    for path in paths:
        photo = Photo.load(path)
        try:
            aligned = align(photo, detect_faces(photo, Job.quiet())[0])
        except CameoError as error:
            failures.append(f"{path.name}: {error}")
            continue
        share = float((aligned.matte256 > 0.5).mean())
        if not 0.2 < share < 0.85:
            failures.append(f"{path.name}: the matte covers {share:.0%} of the crop")
    assert len(paths) == 60
    assert len(failures) <= 2, failures
