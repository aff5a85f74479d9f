"""What a runner of GitHub Actions makes of the lines that it reads (ActionCommandManager.cs, ActionCommand.cs)."""

from __future__ import annotations

KNOWN = {
    "error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "add-path", "add-matcher", "remove-matcher",
    "set-output", "set-env", "save-state", "echo", "stop-commands",
}  # fmt: skip
ESCAPED = {"%0D": "\r", "%0A": "\n", "%25": "%"}
ESCAPED_IN_PROPERTIES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

Command = tuple[str, dict[str, str], str]


class RunnerModel:
    """Reads lines of both streams, in the order that it is given them."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.text: list[str] = []
        self.stopped = ""

    def read(self, *lines: str) -> None:
        for line in lines:
            command = self._parse(line) or self._parse_old(line)
            if command is None:
                self.text.append(line)
            elif self.stopped:
                if command[0].lower() == self.stopped.lower():
                    self.stopped = ""
                else:
                    self.text.append(line)
            elif command[0].lower() == "stop-commands":
                self.stopped = command[2]
            else:
                self.commands.append(command)

    def _registered(self, name: str) -> bool:
        return name.lower() in KNOWN or bool(self.stopped and name.lower() == self.stopped.lower())

    def _parse(self, line: str) -> Command | None:
        line = line.lstrip()
        if not line.startswith("::"):
            return None
        info, found, data = line[2:].partition("::")
        name, _, given = info.partition(" ")
        if not found or not self._registered(name):
            return None
        pairs = (each.partition("=") for each in given.strip().split(",") if each)
        properties = {key: _unescaped(value, ESCAPED_IN_PROPERTIES) for key, _, value in pairs if value}
        return name, properties, _unescaped(data, ESCAPED)

    def _parse_old(self, line: str) -> Command | None:
        """The first form of commands, which may stand anywhere in a line."""
        _, begins, rest = line.partition("##[")
        info, ends, data = rest.partition("]")
        name = info.partition(" ")[0]
        return (name, {}, data) if begins and ends and self._registered(name) else None


def _unescaped(text: str, escaped: dict[str, str]) -> str:
    for written, meant in escaped.items():
        text = text.replace(written, meant)
    return text
