"""The judges of tests/conftest.py are judged: each must catch what it is there for, and nothing else."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CASES = {
    "a warning": ("import warnings; warnings.warn('x')", "UserWarning"),
    "a log record": ("import logging; logging.getLogger('a').warning('disk is full')", "disk is full"),
    "a thread": (
        "import threading; threading.Thread(target=threading.Event().wait, name='sleeper', daemon=True).start()",
        "threads left running: sleeper",
    ),
    "a temporary file": ("import tempfile; tempfile.mkstemp(suffix='.left')", "temporary files left behind"),
    "nothing at all": ("pass", "1 passed"),
    "an announced log record": (
        "import logging\n    with caplog.at_level(logging.WARNING):\n        logging.getLogger('a').warning('x')",
        "1 passed",
    ),
    "somebody's settings": (
        "from core.settings import Settings; assert str(Settings.path()).startswith(str(_home))",
        "1 passed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_test_that_leaves_something_behind_fails(case: str, tmp_path: Path) -> None:
    body, expected = CASES[case]
    inner = tmp_path / "test_inner.py"
    inner.write_text(textwrap.dedent(f"def test_it(caplog, _home):\n    {body}\n"))
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(tmp_path),
            str(inner),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert expected in result.stdout, result.stdout + result.stderr
    assert (result.returncode == 0) == (expected == "1 passed")


def test_no_half_merged_file_is_in_the_house() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("no git repository: an archive of the source")
    mark = "<" * 7 + " "
    names = [name for name in listed.stdout.decode().split("\0") if name.endswith((".py", ".md", ".toml", ".txt"))]
    assert names
    half = [name for name in names if any(line.startswith(mark) for line in (ROOT / name).read_text().splitlines())]
    assert not half
