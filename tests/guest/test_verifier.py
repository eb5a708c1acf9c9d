"""Driver Verifier is switched on, survives a restart, is checked, and never loops.

The transcripts of verifier.exe are made by hand after its documentation and public captures; no Windows has run these.
"""

from dataclasses import dataclass, field

import pytest

from harness.errors import ConfigurationError, DriverError, GuestError
from harness.guest.command import CommandResult
from harness.guest.verifier import Level, apply, parse_level, parse_settings, switch_on

NOTHING = "Verifier Flags: 0x00000000\r\n\r\n  Standard Flags:\r\n\r\n    [ ] 0x00000001 Special pool.\r\n\r\n"
STANDARD = """
Verifier Flags: 0x001209bb

  Standard Flags:

    [X] 0x00000001 Special pool.
    [X] 0x00000002 Force IRQL checking.
    [X] 0x00000010 I/O verification.
    [ ] 0x00000004 Randomized low resources simulation.

    [X] Indicates flag is enabled.

  Boot Mode:

    Reset on boot fail

  Verified Drivers:

    fltlab-completion.sys
    FLTLAB-Below.sys
"""
RULE_CLASSES = """
Aktivierte Regelklassen:
  [X] 5   E/A-Überprüfung
  [X] 37  Dateisystemfilterüberprüfung
  [ ] 1   Spezieller Pool
Überprüfte Treiber:
  fltlab-completion.sys
"""
DRIVERS = ["fltlab-completion.sys", "fltlab-below.sys"]


@dataclass
class ScriptedWindows:
    """Answers verifier.exe: what is set is in force after a restart."""

    name: str = "windows-11-24h2"
    after: str = STANDARD
    now: str = NOTHING
    codes: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def run(self, command: str, stdin: bytes | None = None, timeout: float = 60.0) -> CommandResult:
        if command.endswith("/querysettings"):
            return CommandResult(command, 0, self.now.encode(), b"")
        self.asked.append(command)
        return CommandResult(command, self.codes.get(command, 2), b"said", b"")

    def restart(self) -> None:
        self.asked.append("restart")
        self.now = self.after


@pytest.mark.parametrize(
    ("level", "build", "command"),
    [
        (Level.STANDARD, 26100, "verifier.exe /standard /driver a.sys b.sys"),
        (Level.FILTER, 26100, "verifier.exe /ruleclasses 5 37 /driver a.sys b.sys"),
        (Level.FILTER, 19045, "verifier.exe /flags 0x10 /driver a.sys b.sys"),
        (Level.SPECIAL_POOL, 26100, "verifier.exe /flags 0x1 /driver a.sys b.sys"),
        (Level.LOW_RESOURCES, 17763, "verifier.exe /faults /driver a.sys b.sys"),
        (Level.OFF, 26100, "verifier.exe /reset"),
    ],
)
def test_each_level_is_a_command_of_the_release(level, build, command):
    assert switch_on(level, ["a.sys", "b.sys"], build) == [command]


@pytest.mark.parametrize("drivers", [[], ["a.sys & del c:\\x"], ["*.sys"]])
def test_only_names_of_drivers_get_on_the_command_line(drivers):
    with pytest.raises(ConfigurationError):
        switch_on(Level.STANDARD, drivers, 26100)


def test_it_is_switched_on_with_protection_from_a_loop_and_checked_after_the_restart():
    guest = ScriptedWindows()

    settings = apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)

    assert settings.drivers == set(DRIVERS)
    assert guest.asked == [
        "verifier.exe /bootmode resetonbootfail",
        "verifier.exe /standard /driver fltlab-completion.sys fltlab-below.sys",
        "restart",
    ]


def test_what_is_on_already_costs_no_restart():
    guest = ScriptedWindows(now=STANDARD)

    apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)

    assert guest.asked == []


def test_it_is_switched_off_with_a_restart():
    guest = ScriptedWindows(now=STANDARD, after=NOTHING)

    apply(guest, Level.OFF, [], 26100, guest.restart)

    assert guest.asked == ["verifier.exe /reset", "restart"]


def test_an_older_release_takes_the_boot_mode_by_its_former_name():
    guest = ScriptedWindows(codes={"verifier.exe /bootmode resetonbootfail": 1})

    apply(guest, Level.STANDARD, DRIVERS, 17763, guest.restart)

    assert guest.asked[:2] == ["verifier.exe /bootmode resetonbootfail", "verifier.exe /bootmode disableafterfail"]


def test_without_protection_from_a_loop_it_is_not_switched_on():
    guest = ScriptedWindows(
        codes={f"verifier.exe /bootmode {mode}": 1 for mode in ("resetonbootfail", "disableafterfail")}
    )

    with pytest.raises(GuestError, match="cannot be kept from a boot loop"):
        apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)

    assert "restart" not in guest.asked


def test_a_driver_that_fails_the_boot_is_blamed_when_verifier_has_switched_itself_off():
    guest = ScriptedWindows(after=NOTHING)

    with pytest.raises(DriverError, match=r"a start with fltlab-completion.sys, fltlab-below.sys under it failed"):
        apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)


def test_settings_that_are_not_those_asked_for_are_shown():
    guest = ScriptedWindows(after=STANDARD.replace("FLTLAB-Below.sys", "other.sys"))

    with pytest.raises(GuestError, match="is not at standard") as error:
        apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)

    assert any("other.sys" in line for line in error.value.details)


def test_a_refusal_of_verifier_is_an_error_with_what_it_said():
    guest = ScriptedWindows(codes={"verifier.exe /standard /driver fltlab-completion.sys fltlab-below.sys": 1})

    with pytest.raises(GuestError, match="failed in the guest") as error:
        apply(guest, Level.STANDARD, DRIVERS, 26100, guest.restart)

    assert "| said" in error.value.details


def test_the_settings_of_a_guest_in_another_language_are_read_by_their_numbers():
    settings = parse_settings(RULE_CLASSES)

    assert settings.classes == {5, 37}
    assert settings.drivers == {"fltlab-completion.sys"}
    guest = ScriptedWindows(after=RULE_CLASSES)
    assert apply(guest, Level.FILTER, DRIVERS[:1], 26100, guest.restart) == settings


def test_a_level_that_is_none_is_wrong_use():
    with pytest.raises(ConfigurationError, match="there is no level 'full'") as error:
        parse_level("full")

    assert error.value.details == ("levels: off, standard, filter, special-pool, low-resources",)
