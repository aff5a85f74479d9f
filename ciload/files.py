"""Files that may be anything, read with limits; and files that are written as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

Place = str | os.PathLike[str]


def read_file(path: Place, most_bytes: int) -> bytes:
    """A regular file of so many bytes at most.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read, is something else, or is larger; `reason_of` says it in words.
    """
    try:
        # A FIFO without a writer would make open() wait for one.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a null byte
        raise OSError(errno.EINVAL, str(error)) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > most_bytes:
            raise _too_large(most_bytes, f"{status.st_size:,} bytes")
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise _too_large(most_bytes, "it grows while it is read")
    return data


def _too_large(most_bytes: int, how: str) -> OSError:
    return OSError(errno.EFBIG, f"is larger than the {most_bytes >> 20} MiB that it can have ({how})")


def reason_of(error: Exception) -> str:
    """Why a file could not be read or written, without its name, to stand behind a colon."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{reason[:1].lower()}{reason[1:]}"


def write_file(path: Path, data: bytes) -> None:
    """Replace `path` as a whole: a reader sees the old file or the new one, never a part. Its permissions stay.

    Raises:
        OSError: it could not be written; it is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)  # of a process that had this number and was killed
    try:
        with temporary.open("xb") as file:
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def try_writing(folder: Path) -> None:
    """See that files can be made in a folder.

    Raises:
        OSError: they cannot.
    """
    with tempfile.TemporaryFile(dir=folder):
        pass
