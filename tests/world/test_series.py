"""Series of files: what is there is kept, what is missing is written, by processes."""

from pathlib import Path

from core.job import Job
from core.world.series import Series, Task


def _start(pack: str) -> None:
    assert pack.endswith("pack.npz")


def _write(task: Task) -> int:
    path, first, count = task
    Path(path).write_text(f"{first} {count}")
    return count


def test_what_is_there_is_kept_and_the_last_file_is_shorter(tmp_path: Path) -> None:
    series = Series("heads", 4, _start, _write)
    told: list[float] = []
    job = Job("Writing", on_report=lambda share, _: told.append(share))
    (tmp_path / "heads_0000004.npz").write_text("old")
    series.generate(tmp_path, 0, 10, 2, tmp_path / "pack.npz", job)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"heads_0000000.npz": "0 4", "heads_0000004.npz": "old", "heads_0000008.npz": "8 2"}
    assert told[-1] == 1.0
    series.generate(tmp_path, 0, 10, 2, tmp_path / "pack.npz", job)
    assert len(told) == 2, "nothing was left to write"
