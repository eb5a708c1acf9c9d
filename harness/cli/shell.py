"""`fltlab shell`: a guest with a stack of minifilters, and the steps of an I/O script typed one by one."""

import cmd
import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness.errors import ConfigurationError, DriverError, FltLabError
from harness.fleet import options
from harness.fleet.progress import heard_by
from harness.fleet.session import Seen, Session, completions
from harness.fleet.settings import DEFAULT_SEED, LOCAL_GUEST, Settings, driver_directories
from harness.guest.debug import paused, wait_for_enter
from harness.host.directories import home, private_directory
from harness.text import safe

HISTORY = "shell_history"
PROMPT = "fltlab> "


class Shell(cmd.Cmd):
    """Reads steps and commands; a line that is no command is a step."""

    prompt = PROMPT
    doc_header = "commands (every other line is a step of docs/io-script.md):"
    undoc_header = ""
    identchars = cmd.Cmd.identchars + "-"

    def __init__(self, session: Session, console: Console) -> None:
        super().__init__()
        self._session = session
        self._console = console

    def default(self, line: str) -> None:
        """A step."""
        if line == "EOF":
            raise EOFError
        if not line.startswith("#"):
            self._show(self._session.do(line))

    def emptyline(self) -> bool:
        """Nothing: an empty line does not repeat the last one."""
        return False

    def onecmd(self, line: str) -> bool:
        """One line; what is wrong with it is said, and the shell goes on."""
        try:
            return bool(super().onecmd(line))
        except EOFError:
            return True
        except FltLabError as error:
            self._say(str(error), "red")
        return False

    def completedefault(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        del text
        return [*completions(self._session, line[:endidx], begidx)]

    def completenames(self, text: str, *ignored: object) -> list[str]:
        return [*super().completenames(text, *ignored), *completions(self._session, text, 0)]

    def do_script(self, _: str) -> None:
        """script: the steps typed so far."""
        self._say("\n".join(f"{number:3} {line}" for number, line in enumerate(self._session.lines, start=1)))

    def do_timeline(self, _: str) -> None:
        """timeline: all callbacks of the last run, not only those of the newest step."""
        if self._session.last is not None:
            self._say(str(self._session.last.trace))

    def do_undo(self, _: str) -> None:
        """undo: forget the newest step."""
        self._say(f"forgotten: {self._session.undo() or 'nothing'}")

    def do_seed(self, word: str) -> None:
        """Seed N: run the script again under another schedule (reference guests)."""
        if not word.isdigit():
            raise ConfigurationError("seed takes a number from 0")
        seen = self._session.again(int(word))
        if seen is not None:
            self._show(seen)

    def do_save(self, word: str) -> None:
        """Save FILE: write the session as a test, which holds the statuses that were seen."""
        path = Path(word or "test_typed.py")
        if path.exists():
            raise ConfigurationError(f"{path} is there already")
        path.write_text(self._session.as_test(), encoding="utf-8")
        self._say(f"{path}\nrun it:  fltlab run {path}")

    def do_exec(self, line: str) -> None:
        """Exec COMMAND: run a command line in the guest in which the script ran last."""
        result = self._session.guest().run(line)
        self._say((result.stdout + result.stderr).decode(errors="replace").rstrip())
        if result.exit_code:
            self._say(f"exit code {result.exit_code}", "yellow")

    def do_put(self, line: str) -> None:
        r"""Put FILE C:\PATH: copy a file into that guest."""
        source, target = self._two(line, "put FILE C:\\PATH")
        self._session.guest().put(_readable(Path(source)), target)

    def do_get(self, line: str) -> None:
        r"""Get C:\PATH FILE: copy a file out of it."""
        source, target = self._two(line, "get C:\\PATH FILE")
        Path(target).write_bytes(self._session.guest().get(source))

    def do_screenshot(self, word: str) -> None:
        """Screenshot FILE.png: what the guest's display shows (Windows guests)."""
        guest = self._session.guest()
        if guest.body is not None:
            self._say(str(guest.body.qemu().screenshot(Path(word or "screenshot.png"))))

    def do_debug(self, _: str) -> None:
        """debug: pause the guest for a debugger, until Enter."""
        if not sys.stdin.isatty():
            raise ConfigurationError("debug waits for Enter, and there is no terminal")
        from harness.fleet.drivers import symbol_directories

        self._say("\n".join(paused(self._session.guest(), symbol_directories(self._session.settings.drivers))))
        wait_for_enter()

    def do_quit(self, _: str) -> bool:
        """quit: end the guest and the shell (also Ctrl-D)."""
        return True

    def _show(self, seen: Seen) -> None:
        if seen.step is not None:
            self._say(str(seen.step).partition(": ")[2], "green" if seen.step.status < 0xC0000000 else "yellow")
            if seen.step.data:
                self._say(seen.step.data.hex(" ", 8))
        if seen.trace is not None and seen.trace.events:
            self._say(str(seen.trace))
        if seen.wrong is not None:  # what the steps came to is no news here, but what the kernel found is
            is_finding = isinstance(seen.wrong, DriverError)
            self._say(
                str(seen.wrong) if is_finding else "\n".join((seen.wrong.message, *seen.wrong.details[:2])), "red"
            )

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(safe(text), style), soft_wrap=True)

    @staticmethod
    def _two(line: str, usage: str) -> tuple[str, str]:
        words = shlex.split(line, posix=False)
        if len(words) != 2:
            raise ConfigurationError(f"usage: {usage}")
        return words[0].strip('"'), words[1].strip('"')


def shell(
    stack: Annotated[
        str, typer.Option("--stack", metavar="STACK", help="Minifilters to load, e.g. 'observer@above, completion'.")
    ] = "observer@above, passthrough, observer@below",
    guest: Annotated[str, typer.Option("--guest", metavar="NAME", help=options.GUEST.help)] = LOCAL_GUEST,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help=options.SEED.help)] = DEFAULT_SEED,
    drivers: Annotated[list[Path] | None, typer.Option("--drivers", metavar="DIR", help=options.DRIVERS.help)] = None,
) -> None:
    """Type the steps of an I/O script one by one, and see what each minifilter of a stack is called with.

    Each step runs the script so far in a clean guest. `help` lists the commands: undo, seed, save, exec, ….
    """
    settings = Settings((guest,), seed=seed, drivers=driver_directories(drivers or (), Path.cwd()))
    console = Console(highlight=False)
    interactive = sys.stdin.isatty()

    def tell(text: str) -> None:
        typer.echo(f"{text} …", err=True)

    with (
        heard_by(tell),
        tempfile.TemporaryDirectory(prefix="fltlab-shell-") as folder,
        Session(settings, stack, Path(folder)) as session,
        _history() if interactive else contextlib.nullcontext(),
    ):
        interpreter = Shell(session, console)
        if not interactive:
            interpreter.use_rawinput, interpreter.prompt = False, ""
        else:
            console.print(Text(f"{guest}: {', '.join(session.labels) or 'no minifilter'}; help, quit"), style="bold")
        with contextlib.suppress(KeyboardInterrupt):
            interpreter.cmdloop()


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """What was typed in earlier shells, and is in this one, where Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    path = private_directory(home()) / HISTORY
    readline.set_completer_delims(" \t")
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        with contextlib.suppress(OSError):
            readline.write_history_file(path)
            path.chmod(0o600)


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    return path


def register(app: typer.Typer) -> None:
    app.command("shell")(shell)
