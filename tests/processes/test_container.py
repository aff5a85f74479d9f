"""CPU time of containers, with a played engine and a played kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ciload.processes.container import ContainerCpu, NoContainerError, find_container
from ciload.processes.find import NotFoundError, find_source

ID = "4f5e8c" * 10 + "abcd"
V2 = f"0::/system.slice/docker-{ID}.scope/init.scope\n"
V1 = f"12:memory:/docker/{ID}\n4:cpu,cpuacct:/docker/{ID}\n0::/\n"


class Machine:
    """Folders that look like /proc and /sys/fs/cgroup, and perhaps an engine."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc, self.cgroups, self.programs = folder / "proc", folder / "cgroup", folder / "bin"
        self.programs.mkdir()
        monkeypatch.setenv("PATH", str(self.programs))

    def engine(self, answer: str, code: int = 0) -> None:
        docker = self.programs / "docker"
        docker.write_text(f'#!/bin/sh\necho "$@" > {self.programs}/asked\n{answer}\nexit {code}\n')
        docker.chmod(0o755)

    def process(self, pid: int, cgroup: str) -> None:
        (self.proc / str(pid)).mkdir(parents=True)
        (self.proc / str(pid) / "cgroup").write_text(cgroup)

    def usage(self, file: str, text: str) -> None:
        (self.cgroups / file).parent.mkdir(parents=True, exist_ok=True)
        (self.cgroups / file).write_text(text)

    def find(self, name: str) -> ContainerCpu:
        return find_container(name, self.proc, self.cgroups)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_control_groups_v2(machine: Machine) -> None:
    """The engine knows its process, the process its group, the group its time: of all of it, not of a part."""
    machine.engine(f"echo {ID} 4711")
    machine.process(4711, V2)
    stat = f"system.slice/docker-{ID}.scope/cpu.stat"
    machine.usage(stat, "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    machine.usage(f"system.slice/docker-{ID}.scope/init.scope/cpu.stat", "usage_usec 1\n")
    found = machine.find("shop")

    assert (found.name, found.read()) == ("the container shop", 2.5)
    machine.usage(stat, "usage_usec 2600000\n")
    assert found.read() == pytest.approx(2.6)
    assert (machine.programs / "asked").read_text().endswith("-- shop\n")


def test_control_groups_v1(machine: Machine) -> None:
    """The older files count in nanoseconds."""
    machine.engine(f"echo {ID} 4711")
    machine.process(4711, V1)
    machine.usage(f"cpu,cpuacct/docker/{ID}/cpuacct.usage", "1500000000\n")

    assert machine.find("shop").read() == 1.5


def test_without_an_engine_the_id_does(machine: Machine) -> None:
    """Processes tell of the container that they are in."""
    machine.process(1, "0::/init.scope\n")
    machine.process(99, V2)
    machine.usage(f"system.slice/docker-{ID}.scope/cpu.stat", "usage_usec 700000\n")

    assert machine.find(ID[:12]).read() == 0.7
    with pytest.raises(NoContainerError, match="none of docker, podman, nerdctl is installed"):
        machine.find("shop")


def test_a_container_that_starts_again_goes_on_counting(machine: Machine) -> None:
    """A restart begins at 0; the sum does not fall."""
    machine.process(99, V2)
    stat = f"system.slice/docker-{ID}.scope/cpu.stat"
    machine.usage(stat, "usage_usec 700000\n")
    found = machine.find(ID)
    found.read()
    machine.usage(stat, "usage_usec 100000\n")

    assert found.read() == pytest.approx(0.8)
    (machine.cgroups / stat).unlink()
    assert found.read() is None


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            "echo 'Error: No such container: shop' >&2",
            1,
            "does not know the container 'shop': Error: No such container",
        ),
        (f"echo {ID} 0", 0, "does not run: start it before the load"),
        (f"echo {ID} 4711", 0, "cannot be seen from here"),
    ],
)
def test_what_cannot_be_found(machine: Machine, answer: str, code: int, words: str) -> None:
    """Each reason is told: unknown, stopped, out of sight. Our own group, which has no name here, is never taken."""
    machine.engine(answer, code)
    machine.process(4711, "0::/\n")
    machine.usage("cpu.stat", "usage_usec 5\n")

    with pytest.raises(NoContainerError, match=re.escape(words)):
        machine.find("shop")


def test_the_option_says_it_like_any_other(machine: Machine) -> None:
    """`--target-process container:shop` ends as one of its complaints."""
    with pytest.raises(NotFoundError, match="'shop' cannot be looked up"):
        find_source("container:shop", "http://localhost")
