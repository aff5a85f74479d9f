"""Workflow commands: ours arrive as they are meant, and nobody else's arrive at all."""

from __future__ import annotations

import os
import random
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given

from ciload.ci import workflow_commands
from ciload.ci.workflow_commands import Bracket, known_secrets, workflow_command
from tests.ci.model import RunnerModel
from tests.reports.results import hostile


@given(text=hostile, title=hostile)
def test_message_and_properties_arrive_as_they_are(text: str, title: str) -> None:
    """Whatever is in them, a runner reads one command on one line, with just these parts."""
    line = workflow_command("error", text, {"title": title, "line": "7"})
    runner = RunnerModel()
    runner.read(*(f"{line}\n".replace("\r", "").split("\n")))
    [(name, properties, message)] = runner.commands
    assert (name, message) == ("error", text)
    assert properties == {"line": "7"} | ({"title": title} if title else {})


def test_empty_properties_are_left_out() -> None:
    """A command without properties has no blank before its message."""
    assert workflow_command("error", "x", {"file": ""}) == "::error::x"


def test_known_secrets_are_tokens_and_what_urls_hold() -> None:
    """Passwords, tokens as user names, signatures; not names, and nothing so short that it would mask every word."""
    environment = {"CILOAD_GITHUB_TOKEN": "ghp_1234", "CILOAD_VUS": "5000", "CILOAD_X_TOKEN": "", "PATH": "/usr/bin"}
    urls = [
        "https://user:p%40ssword@host/x?env=production&sig=signature", "https://tokenalone@host", "https://a:bcd@host",
        "http://[broken", "artifact:name",
    ]  # fmt: skip
    expected = ["ghp_1234", "p%40ssword", "p@ssword", "signature", "tokenalone"]
    assert known_secrets(environment, urls) == expected


class Streams:
    """Two pipes, and a bracket around what is written to them."""

    def __init__(self) -> None:
        self.reading: list[int] = []
        self.out, self.err = self._pipe(), self._pipe()
        self.bracket = Bracket((self.out, self.err))

    def _pipe(self) -> int:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self.reading.append(reading)
        return writing

    def read(self) -> list[list[str]]:
        """The lines of both so far."""
        return [self.read_one(0), self.read_one(1)]

    def read_one(self, index: int) -> list[str]:
        with suppress(BlockingIOError):
            return os.read(self.reading[index], 1 << 16).decode().splitlines()
        return []


def test_no_order_of_the_streams_lets_a_script_command_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner reads two streams, each in its order and both in any; only the end waits until one is read."""
    monkeypatch.setattr(workflow_commands, "DRAIN_TIMEOUT_S", 0.0)
    streams = Streams()
    streams.bracket.open()
    for stream in (streams.out, streams.err):
        os.write(stream, b"::add-mask::a\n  ::error::pwned\nx ##[error]pwned\n::stop-commands::mine\n::mine::\n")
        os.write(stream, b"::error::unfinished")
    streams.bracket.later(["::error::ours"])
    streams.bracket.close()
    out, err = streams.read()
    end = out.index("::error::unfinished") + 1
    for seed in range(500):
        runner, choice = RunnerModel(), random.Random(seed)
        before = [out[:end], [*err]]
        while any(before):
            runner.read(choice.choice([each for each in before if each]).pop(0))
        runner.read(*out[end:])
        assert [(name, message) for name, _, message in runner.commands] == [("error", "ours")]
        assert not runner.stopped


def test_end_waits_until_the_other_stream_is_read() -> None:
    """What a script has said on stderr at last must be taken in before commands are taken again on stdout."""
    streams = Streams()
    streams.bracket.open()
    os.write(streams.err, b"::error::pwned\n")
    closing = threading.Thread(target=streams.bracket.close)
    closing.start()
    closing.join(0.4)
    assert len(streams.read_one(0)) == 2  # the beginning, and the end of a line
    streams.read_one(1)
    closing.join()
    assert streams.read_one(0)[-1].endswith("::")


def test_token_cannot_be_known_before() -> None:
    """It is another in every run, and in no place that child processes inherit."""
    tokens = set()
    for _ in range(2):
        streams = Streams()
        streams.bracket.open()
        tokens.add(streams.read()[0][0].partition("::stop-commands::")[2])
    assert len(tokens) == 2
    assert all(len(each) == 32 and each not in str(os.environ) for each in tokens)


def test_files_are_left_as_they_are(tmp_path: Path) -> None:
    """`ciload … > file` has in the file what was asked for; commands go the other way."""
    streams = Streams()
    with (tmp_path / "file").open("w") as file:
        bracket = Bracket((file.fileno(), streams.err))
        bracket.open(["secret"])
        bracket.later(["::error::ours"])
        bracket.close()
    assert (tmp_path / "file").read_text() == ""
    runner = RunnerModel()
    runner.read(*streams.read()[1])
    assert [each[0] for each in runner.commands] == ["add-mask", "error"]


def test_masks_are_read_before_commands_stop() -> None:
    """A secret is masked before anybody can print it, and never comes to be text because stdout was read first."""
    streams = Streams()
    opening = threading.Thread(target=streams.bracket.open, args=(["line\nbreak"],))
    opening.start()
    opening.join(0.4)
    assert streams.read_one(0) == []
    assert streams.read_one(1) == ["::add-mask::line%0Abreak"]
    opening.join()
    assert [len(each) for each in streams.read()] == [1, 1]


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false"}, {"GITLAB_CI": "true"}])
def test_elsewhere_nothing_is_printed(environment: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    """At a terminal, a bracket is invisible."""
    bracket = Bracket.around(environment)
    bracket.open(["secret"])
    bracket.later(["::error::x"])
    bracket.close()
    assert capfd.readouterr() == ("", "")
