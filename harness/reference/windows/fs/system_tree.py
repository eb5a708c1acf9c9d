r"""The system volume: what drivers expect to find on C:, \SystemRoot and the files and directories of an installation.

The files stand for those of a Windows: they have their names and are no images of anything.
"""

from pathlib import Path

_DIRECTORIES = (
    r"Windows\System32\drivers\etc", r"Windows\System32\config", r"Windows\System32\LogFiles",
    r"Windows\System32\Tasks", r"Windows\SysWOW64", r"Windows\Temp", r"Windows\INF", r"Windows\WinSxS",
    r"Windows\Fonts", r"Windows\Prefetch",
    r"Windows\SoftwareDistribution", "Program Files", "Program Files (x86)", "ProgramData", r"Users\Public\Documents",
    r"Users\Default", r"Users\fltlab\AppData\Local\Temp", r"Users\fltlab\Documents", r"Users\fltlab\Desktop",
    "PerfLogs", "$Recycle.Bin", "System Volume Information",
)  # fmt: skip
_FILES = (
    r"Windows\explorer.exe", r"Windows\notepad.exe", r"Windows\win.ini", r"Windows\System32\ntoskrnl.exe",
    r"Windows\System32\hal.dll", r"Windows\System32\ntdll.dll", r"Windows\System32\kernel32.dll",
    r"Windows\System32\kernelbase.dll", r"Windows\System32\advapi32.dll", r"Windows\System32\fltlib.dll",
    r"Windows\System32\cmd.exe", r"Windows\System32\svchost.exe", r"Windows\System32\lsass.exe",
    r"Windows\System32\services.exe", r"Windows\System32\winlogon.exe", r"Windows\System32\smss.exe",
    r"Windows\System32\csrss.exe", r"Windows\System32\notepad.exe", r"Windows\System32\config\SYSTEM",
    r"Windows\System32\config\SOFTWARE", r"Windows\System32\config\SAM", r"Windows\System32\config\SECURITY",
    r"Windows\System32\drivers\fltmgr.sys", r"Windows\System32\drivers\ntfs.sys",
    r"Windows\System32\drivers\disk.sys", r"Windows\System32\drivers\etc\hosts",
)  # fmt: skip


def make_system_tree(root: Path) -> None:
    """Have the directories and files of an installation below `root`; what is there already stays as it is."""
    for directory in _DIRECTORIES:
        _place(root, directory).mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        path = _place(root, name)
        if not path.exists():
            path.write_text(f"This file stands for {path.name} in a model of Windows.\n", encoding="ascii")


def _place(root: Path, name: str) -> Path:
    return root.joinpath(*name.split("\\"))
