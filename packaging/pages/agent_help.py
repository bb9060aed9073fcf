"""Reads the agent's help, which the agent prints from its table of options.

So the man pages and the completion of shells have the names, the values and the meanings that the
agent itself has, and nobody has to write them a second time."""

import re
import subprocess
from dataclasses import dataclass

ENTRY = re.compile(r"^  --(?P<name>\S+)(?: (?P<value>\S+) \(default: (?P<default>.*)\))?\n"
                   r"      (?P<meaning>.*)\n(?:      accepted: (?P<accepted>.*)\n)?", re.MULTILINE)
VARIABLE = re.compile(r"^  (RATELIMIT_\S+)\n      (.*)", re.MULTILINE)
COMMAND = re.compile(r"^(?:usage:|      ) ratelimit-spoa \[?([a-z-]+)", re.MULTILINE)
WORDS = re.compile(r"[\w-]+(?:, [\w-]+)* or [\w-]+")
ALL_OF_SERVE = "takes all options of serve"


@dataclass(frozen=True)
class Option:
    name: str
    value: str | None  # stands for the value; an option without one has None
    default: str | None
    meaning: str
    accepted: str | None

    @property
    def choices(self):
        """The words that the option accepts, when it accepts a few words and nothing else."""
        if self.accepted is None or not WORDS.fullmatch(self.accepted):
            return []
        return re.split(r", | or ", self.accepted)

    @property
    def variable(self):
        return "RATELIMIT_" + self.name.upper().replace("-", "_")


@dataclass(frozen=True)
class Command:
    name: str
    usage: str
    text: str          # what the command does, in paragraphs
    options: list      # of its own
    takes_serve: bool  # whether it takes the options of serve too


class AgentHelp:
    def __init__(self, program):
        self.program = program
        self.version = self.ask("version").split()[-1]
        text = self.ask("--help")
        self.variables = VARIABLE.findall(text)
        self.commands = [self.read_command(name) for name in COMMAND.findall(text)]

    def ask(self, *words):
        return subprocess.run([self.program, *words], check=True, capture_output=True,
                              text=True).stdout

    def read_command(self, name):
        help_text = self.ask(name, "--help")
        usage, _, rest = help_text.partition("\n")
        own, mark, _ = rest.partition(ALL_OF_SERVE)
        text, *_ = re.split(r"^  --|^Each option|^.*\btakes all options", rest.strip(),
                            maxsplit=1, flags=re.MULTILINE)
        return Command(name, usage.removeprefix("usage: "), text.strip(), read_options(own),
                       bool(mark))

    def command(self, name):
        return next(command for command in self.commands if command.name == name)

    def options_of(self, command):
        """All options that a command takes; of two with one name, the command's own."""
        options = list(command.options)
        if command.takes_serve:
            own = {option.name for option in options}
            options += [option for option in self.command("serve").options
                        if option.name not in own]
        return options


def read_options(text):
    return [Option(*found.group("name", "value", "default", "meaning", "accepted"))
            for found in ENTRY.finditer(text)]
