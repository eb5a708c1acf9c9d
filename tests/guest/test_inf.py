"""A user's own driver comes by its INF, with its service and its client; a scripted Windows answers.

What pnputil and setupapi print is made by hand after their documentation; no Windows has run these commands.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigurationError, DriverError
from harness.guest import Guest
from harness.guest.command import CommandResult
from harness.guest.deploy import Deployment, DriverUnderTest
from harness.guest.identity import Identity
from harness.guest.profiles import WINDOWS, GuestKind
from harness.guest.stack import parse_stack, place
from harness.minifilter.build import BuiltDriver
from harness.minifilter.inf import Inf
from harness.minifilter.package import load_package
from harness.minifilter.registry import of_inf

INF = r"""
; a minifilter of a user, in both layouts
[Version]
Signature   = "$Windows NT$"
Class       = "ActivityMonitor"
CatalogFile = scanner.cat ; signed
[DestinationDirs]
MiniFilter.DriverFiles = 13
[DefaultInstall.NTamd64.10.0...25952]
CopyFiles = MiniFilter.DriverFiles
[DefaultInstall.NTamd64.10.0...25952.Services]
AddService = %ServiceName%,,New.Service
[DefaultInstall.NTamd64]
CopyFiles = MiniFilter.DriverFiles
[DefaultInstall.NTamd64.Services]
AddService = %ServiceName%,,Old.Service
[New.Service]
ServiceBinary = %13%\Scanner.sys
AddReg        = New.Registry
[Old.Service]
ServiceBinary = %12%\Scanner.sys
AddReg        = Old.Registry
[New.Registry]
HKR,"Parameters","SupportedFeatures",0x00010001,0x3
HKR,"Parameters\Instances","DefaultInstance",0x00000000,%Default%
HKR,"Parameters\Instances\"%Other%,"Altitude",0x00000000,"328011"
HKR,"Parameters\Instances\"%Default%,"Altitude",0x00000000,"328010.5"
HKR,"Parameters\Instances\"%Default%,"Flags",0x00010001,0x1
[Old.Registry]
HKR,"Instances","DefaultInstance",0x00000000,%Default%
HKR,"Instances\"%Default%,"Altitude",0x00000000,\
    "328010"
HKR,"Instances\"%Default%,"Flags",0x00010001,0x0
[SourceDisksFiles]
Scanner.sys = 1,,
rules.txt   = 1,,
[Strings]
ServiceName = "Scanner"
Default     = "Scanner, top"
Other       = "Scanner bottom"
"""
OF_A_DEVICE = r"""
[Manufacturer]
%Maker% = Models,NTamd64.10.0...16299
[Models.NTamd64.10.0...16299]
"A filter" = Device, Root\Scanner
[Device.NT]
AddReg = Nothing
[Device.NT.Services]
AddService = Scanner,,Of.Device
[Of.Device]
AddReg = Of.Device.Registry
[Of.Device.Registry]
HKR,Instances,DefaultInstance,,One
HKR,Instances\One,Altitude,,"328020"
HKR,Instances\One,Flags,0x10001,0
"""


@pytest.fixture
def driver(tmp_path: Path) -> BuiltDriver:
    """A user's package with everything that a driver.yaml can name."""
    for name in ("Scanner.sys", "scanner.cat", "scansvc.exe", "scanctl.exe", "rules.txt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "scanner.inf").write_text(INF, encoding="utf-16")
    (tmp_path / "driver.yaml").write_text(
        "name: scanner\ndescription: x\nbinary: Scanner.sys\ninf: scanner.inf\ncatalog: scanner.cat\ncontrol: none\n"
        "service: {name: ScanService, binary: scansvc.exe, arguments: --quiet}\n"
        "files: [scanctl.exe, rules.txt]\nstart: [scanctl.exe load rules.txt]\nstop: [scanctl.exe quit]\n"
    )
    package = load_package(tmp_path / "driver.yaml")
    return BuiltDriver(
        name="scanner", package=package, sys=tmp_path / "Scanner.sys", pdb=None, certificate=None, sha256="0" * 64
    )


@dataclass
class ScriptedWindows:
    """Takes the commands of a deployment; a batch file's commands all succeed."""

    build: int = 26100
    fails: str = "nothing at all"
    altitude: str = "328010.5"
    name: str = "windows-11-24h2"
    kind: GuestKind = GuestKind.WINDOWS
    profile = WINDOWS
    fails_with: int = 1
    drivers_under_test: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    _removed: bool = False

    put_and_run = Guest.put_and_run

    def put_all(self, files: dict[str, bytes], timeout: object = None) -> None:
        self.files.update(files)

    def identity(self) -> Identity:
        return Identity("boot", 0.0, b"", {"build": f"10.0.{self.build}"})

    def run(self, command: str, stdin: bytes | None = None, timeout: object = None) -> CommandResult:
        batch = re.fullmatch(r"cmd.exe /c (\S+\.cmd)", command)
        if batch is not None:
            return self._batch(batch[1])
        self.asked.append(command)
        output = b"Published Name:         oem7.inf\r\n" if "/add-driver" in command else b""
        return CommandResult(command, self.fails_with if self.fails in command else 0, output, b"")

    def _batch(self, path: str) -> CommandResult:
        lines = self.files[path].decode().splitlines()
        self.asked += [line for line in lines if line.startswith("fltmc.exe") and not line.endswith("instances")]
        self._removed |= any("fltmc.exe unload" in line for line in lines)
        output = "".join(f"{line.removeprefix('echo ')}\r\n" for line in lines if line.startswith("echo @@"))
        ruler = "--------------------  ----  ------------  ----------------------  -----  --------  --------"
        head = "Filter                Vol.  Altitude      Instance Name           Frame  SprtFtrs  VlStatus"
        row = f"Scanner               V:    {self.altitude:<12}  Scanner, top            0      00000003"
        rows = [] if self._removed else [row]
        return CommandResult(path, 0, (output + "\r\n".join([head, ruler, *rows]) + "\r\n").encode(), b"")


def deployment(guest: ScriptedWindows, driver: BuiltDriver) -> Deployment:
    (entry,) = place(parse_stack("scanner"))
    return Deployment(guest, [DriverUnderTest(entry, driver)])  # type: ignore[arg-type]


def test_a_driver_comes_by_pnputil_and_its_service_and_client_are_started(driver: BuiltDriver):
    guest = ScriptedWindows()

    stack = deployment(guest, driver)
    stack.deploy()

    assert guest.asked == [
        r'pnputil.exe /add-driver "C:\fltlab\drivers\scanner\scanner.inf" /install',
        'sc.exe query "Scanner"',
        "fltmc.exe load Scanner || exit /b",
        'fltmc.exe attach Scanner V: -i "Scanner, top"',
        r'sc.exe create ScanService start= demand binPath= "C:\fltlab\drivers\scanner\scansvc.exe --quiet"',
        "sc.exe start ScanService",
        r'cmd.exe /c "cd /d C:\fltlab\drivers\scanner && scanctl.exe load rules.txt"',
    ]
    assert guest.drivers_under_test == ("Scanner",)
    put = {path.rpartition("\\")[2] for path in guest.files}
    assert {"scanner.inf", "scanner.cat", "Scanner.sys", "rules.txt", "scansvc.exe", "scanctl.exe"} <= put


def test_it_goes_as_it_came(driver: BuiltDriver):
    guest = ScriptedWindows()
    stack = deployment(guest, driver)
    stack.deploy()
    guest.asked.clear()

    stack.remove()

    assert guest.asked == [
        r'cmd.exe /c "cd /d C:\fltlab\drivers\scanner && scanctl.exe quit"',
        "sc.exe stop ScanService",
        "sc.exe delete ScanService",
        'fltmc.exe detach Scanner V: "Scanner, top"',
        "fltmc.exe unload Scanner",
        "pnputil.exe /delete-driver oem7.inf /uninstall /force",
    ]


def test_an_older_release_takes_it_by_setupapi_and_an_instance_that_attaches_by_itself_is_left_to(driver: BuiltDriver):
    guest = ScriptedWindows(build=17763, altitude="328010")

    deployment(guest, driver).deploy()

    assert guest.asked[:3] == [
        (
            "rundll32.exe setupapi.dll,InstallHinfSection DefaultInstall 132 "
            r"C:\fltlab\drivers\scanner\scanner.inf"
        ),
        'sc.exe query "Scanner"',
        "fltmc.exe load Scanner || exit /b",
    ]
    assert not any("attach" in command for command in guest.asked)


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("/add-driver", "scanner could not be installed by its INF"),
        ("sc.exe query", "scanner could not be installed by its INF"),
        ("scanctl.exe load", "a command of scanner failed in the guest"),
    ],
)
def test_what_windows_refuses_is_the_drivers_failure(fails: str, said: str, driver: BuiltDriver):
    with pytest.raises(DriverError, match=said):
        deployment(ScriptedWindows(fails=fails), driver).deploy()


def test_a_catalog_that_windows_does_not_trust_is_the_users_to_sign(driver: BuiltDriver):
    guest = ScriptedWindows(fails="/add-driver", fails_with=0x800B0109)

    with pytest.raises(
        ConfigurationError, match=r"signature of the package of scanner: 0x800b0109(.|\n)*does not trust"
    ):
        deployment(guest, driver).deploy()


def test_an_inf_is_read_as_each_release_reads_it():
    inf = Inf(INF, "scanner.inf")

    (top, bottom), (old,) = inf.instances(26100), inf.instances(19045)

    assert (top.name, str(top.altitude), top.attaches_by_itself) == ("Scanner, top", "328010.5", False)
    assert (bottom.name, bottom.attaches_by_itself) == ("Scanner bottom", True)
    assert (old.name, str(old.altitude), old.attaches_by_itself) == ("Scanner, top", "328010", True)
    assert inf.service(26100) == "Scanner"
    assert inf.catalog == "scanner.cat"
    assert inf.files == ("Scanner.sys", "rules.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_inf_of_a_project_is_read_and_sent_as_its_build_stamps_it(encoding: str, driver: BuiltDriver):
    path = driver.package.path(Path("scanner.inf"))
    path.write_bytes(INF.replace("NTamd64", "nt$Arch$").encode(encoding))
    guest = ScriptedWindows()

    deployment(guest, driver).deploy()

    assert Inf.read(path).instances(26100)[0].name == "Scanner, top"
    sent = next(content for name, content in guest.files.items() if name.endswith("scanner.inf"))
    assert sent.decode(encoding) == INF.replace("NTamd64", "ntamd64")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[DefaultInstall.NTamd64", "[DefaultInstall.NTarm64", "it has no DefaultInstall section for this Windows"),
        ("AddService = ", "DelService = ", "its DefaultInstall adds no service"),
        ('"Altitude"', '"Height"', "has no altitude"),
        ("HKR,", "HKLM,", "it registers no instance with an altitude"),
    ],
)
def test_an_inf_that_cannot_be_right_says_what_is_missing(before: str, after: str, said: str):
    inf = Inf(INF.replace(before, after), "scanner.inf")

    with pytest.raises(ConfigurationError, match=said):
        (inf.service(26100), inf.instances(26100))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_inf_of_sources_is_read_as_its_build_would_stamp_it(encoding: str, tmp_path: Path):
    (tmp_path / "scanner.inf").write_text(INF.replace("NTamd64", "NT$ARCH$"), encoding=encoding)

    inf = Inf.read(tmp_path / "scanner.inf")

    assert [str(instance.altitude) for instance in inf.instances(26100)] == ["328010.5", "328011"]
    assert inf.is_primitive(26100)


def test_an_altitude_that_the_template_left_to_its_author_is_open_and_any_other_word_is_wrong(driver: BuiltDriver):
    left = INF.replace('"328010.5"', '"_TODO_Change_Altitude_appropriately_"')
    driver.package.path(Path("scanner.inf")).write_text(left)

    assert Inf(left, "scanner.inf").instances(26100)[0].altitude is None
    with pytest.raises(ConfigurationError, match=r"the instance 'Scanner, top' no altitude yet(.|\n)*replace _TODO"):
        deployment(ScriptedWindows(), driver).deploy()
    with pytest.raises(ConfigurationError, match=r"scanner.inf cannot be used: the altitude 'top' of the instance"):
        Inf(INF.replace('"328010.5"', '"top"'), "scanner.inf").instances(26100)


def test_an_inf_for_a_device_says_what_it_would_install_and_is_not_installed_on_windows(driver: BuiltDriver):
    """Tools write such INFs from their template of a device; Windows finds nothing there to install a minifilter by."""
    of_a_device = INF.replace("[DefaultInstall", "[Other") + OF_A_DEVICE
    inf = Inf(of_a_device, "scanner.inf")

    assert (inf.service(26100), inf.device(26100)) == ("Scanner", r"Root\Scanner")
    assert [str(instance.altitude) for instance in inf.instances(26100)] == ["328020"]
    assert Inf(INF, "scanner.inf").device(26100) is None

    driver.package.path(Path("scanner.inf")).write_text(of_a_device)
    with pytest.raises(ConfigurationError, match=r"no DefaultInstall(.|\n)*a device Root\\Scanner alone"):
        deployment(ScriptedWindows(), driver).deploy()


def test_files_that_the_inf_names_and_the_package_does_not_are_wrong_use(driver: BuiltDriver):
    lacking = driver.package.model_copy(update={"files": ()})
    with pytest.raises(ConfigurationError, match=r"scanner\.inf wants rules\.txt"):
        deployment(ScriptedWindows(), SimpleNamespace(**{**vars_of(driver), "package": lacking})).deploy()

    lacking = driver.package.model_copy(update={"catalog": None})
    with pytest.raises(ConfigurationError, match=r"names the catalog scanner\.cat"):
        deployment(ScriptedWindows(), SimpleNamespace(**{**vars_of(driver), "package": lacking})).deploy()


def vars_of(driver: BuiltDriver) -> dict[str, object]:
    return {name: getattr(driver, name) for name in ("name", "sys", "pdb", "certificate", "sha256", "package")}


def test_values_are_added_as_their_flags_say():
    lines = """
        HKR,"Parameters","Paths",0x00010000,"\\a\\","\\b, c\\"
        HKR,"Parameters","paths",0x00010008,"\\d\\","\\a\\"
        HKR,"Parameters","Level",0x00010001,3
        HKR,"Parameters","Level",0x00010003,4
        HKR,"Parameters","Gone",0x00000000,"x"
        HKR,"Parameters","Gone",0x00000004
    """
    inf = Inf(INF.replace("[New.Registry]", "[New.Registry]\n" + lines), "scanner.inf")

    added = {value.name: value.data for value in of_inf(inf, 26100) if value.key == "Parameters"}

    assert added == {"paths": r"\a\\0\b, c\\0\d" + "\\", "Level": "3", "SupportedFeatures": "0x3"}


@given(st.text(max_size=200))
def test_any_text_is_an_inf_or_wrong_use(text: str):
    inf = Inf(text, "x.inf")

    assert inf.files is not None
    with pytest.raises(ConfigurationError):
        inf.service(26100)
