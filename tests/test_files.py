"""Files that may be anything, and files that are written as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ciload.files import read_file, reason_of, write_file


def test_a_file_is_read(tmp_path: Path) -> None:
    """Up to the limit, and not a byte more."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * (1 << 20))
    assert len(read_file(path, 1 << 20)) == 1 << 20
    with pytest.raises(OSError, match="larger than the 0 MiB") as caught:
        read_file(path, 1000)
    assert "1,048,576 bytes" in reason_of(caught.value)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A folder, a device and a FIFO that nobody writes to are refused at once, and a null byte names no file."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file"):
            read_file(path, 1000)
    with pytest.raises(OSError, match="null"):
        read_file("a\0b", 1000)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "none", 1000)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Its permissions stay, and nothing else is left in the folder."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_file(path, b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers see the old content or the new, never a part."""
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space") as caught:
        write_file(path, b"new")
    assert reason_of(caught.value) == "no space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
