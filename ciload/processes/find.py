"""Which process is the target: by its ID, by the port it listens on, or the container it runs in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from ciload.metrics.cpu_series import CpuSource

CONTAINER = "container:"
BY_PORT = ("port", "auto")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # what others listen on
PORTS = {"http": 80, "https": 443}
FORWARDERS = ("docker-proxy", "rootlessport", "slirp4netns", "pasta", "gvproxy")  # of containers' ports


class NotFoundError(Exception):
    """There is no such process, or it cannot be seen; the text says which, and what to do."""


def find_source(wanted: str, url: str) -> CpuSource:
    """What `--target-process` means.

    Args:
        wanted: a process ID, `port` or `auto`, or `container:` and a name or ID.
        url: of the target, whose port is looked for.

    Raises:
        NotFoundError: it is not there, or cannot be seen.
    """
    if wanted.startswith(CONTAINER):
        from ciload.processes.container import NoContainerError, find_container

        try:
            return find_container(wanted.removeprefix(CONTAINER))
        except NoContainerError as error:
            raise NotFoundError(str(error)) from None
    import psutil  # late: few runs ask for a process

    from ciload.processes.tree import ProcessTree

    pids = list(_pids_at(url)) if wanted in BY_PORT else [int(wanted)]
    try:
        names = [psutil.Process(pid).name() for pid in pids]
        port = f", listening on port {_address(url)[1]}" if wanted in BY_PORT else ""
        return ProcessTree(pids, f"{', '.join(dict.fromkeys(names))}, {_ids(pids)}{port}")
    except psutil.NoSuchProcess:
        raise NotFoundError(f"there is no process {_ids(pids)} in sight: {INVISIBLE}") from None
    except psutil.AccessDenied:
        raise NotFoundError(f"the process {_ids(pids)} belongs to another user, and may not be looked at") from None


INVISIBLE = (
    "it has ended, or it runs in a namespace of its own that this process cannot see; of a container say container:NAME"
)


def _ids(pids: list[int]) -> str:
    return f"PID {', '.join(map(str, pids))}"


def _pids_at(url: str) -> Iterator[int]:
    """The processes that listen on a port; of those that share it, the one that started the others."""
    import psutil

    host, port = _address(url)
    addresses = _local_addresses(host)
    try:
        rows = [
            row for row in psutil.net_connections("tcp")
            if row.status == psutil.CONN_LISTEN and row.laddr and row.laddr.port == port
            and row.laddr.ip in (*ANY_ADDRESS, *addresses)
        ]  # fmt: skip
    except psutil.AccessDenied:
        raise NotFoundError(f"this system does not tell who listens on port {port}; give the process ID") from None
    if not rows:
        raise NotFoundError(
            f"nothing that this machine shows listens on port {port}: start the target before the load (--wait-for "
            "waits for it); of one in a container say container:NAME"
        )
    tops = dict.fromkeys(_top(row.pid, port) for row in rows if row.pid)
    if not tops:
        raise NotFoundError(
            f"who listens on port {port} cannot be seen: it belongs to another user, or to a container; give its "
            "process ID or container:NAME, or run ciload as that user"
        )
    for pid in tops:
        if (name := _name(pid)) in FORWARDERS:
            raise NotFoundError(
                f"on port {port} listens {name}, which only forwards to a container; say container:NAME"
            )
    yield from tops


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def _local_addresses(host: str) -> set[str]:
    """The addresses of a name, all of which are this machine's own."""
    import psutil

    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise NotFoundError(f"{host} cannot be looked up: {error}") from None
    ours = {each.address.partition("%")[0] for interface in psutil.net_if_addrs().values() for each in interface}
    ours |= {"127.0.0.1", "::1"}
    local = {each for each in found if each in ours or each.startswith("127.")}
    if not local:
        raise NotFoundError(f"{host} is another machine, whose processes cannot be seen from here")
    return local


def _top(pid: int, port: int) -> int:
    """Of workers that have inherited a socket, the process that they have it from."""
    import psutil

    while True:
        try:
            parent = psutil.Process(pid).parent()
            listening = parent is not None and any(
                row.status == psutil.CONN_LISTEN and row.laddr.port == port for row in parent.net_connections("tcp")
            )
        except psutil.Error:
            return pid
        if parent is None or not listening:
            return pid
        pid = parent.pid


def _name(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""
