r"""Windows guests: PowerShell 5.1 where the reference guest has commands of its own.

Scripts go as -EncodedCommand: a command line of cmd.exe holds 8191 characters, which is about 3000 of a script. No
Windows has run them here; `fltlab image verify` does, with files of every size. fltmc, sc and reg are the same.
"""

import base64

from harness.guest.profiles.base import GuestKind, Profile

COMMAND_LINE_LIMIT = 8191
BOOT_KEY = r"HKLM\SOFTWARE\fltlab-boot"
"""The volatile registry key whose value `id` is the boot id."""

RECEIVE = r"""
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$source = [Console]::OpenStandardInput()
$buffer = New-Object byte[] 65536
function Read-Line {
    $bytes = New-Object IO.MemoryStream
    while (($byte = $source.ReadByte()) -ge 0 -and $byte -ne 10) { $bytes.WriteByte($byte) }
    return [Text.Encoding]::UTF8.GetString($bytes.ToArray())
}
try {
    while (($head = Read-Line) -ne '') {
        $size, $digest, $path = $head -split ' ', 3
        [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
        $hash = [Security.Cryptography.SHA256]::Create()
        $file = [IO.File]::Create($path)
        $left = [long]$size
        while ($left -gt 0) {
            $count = $source.Read($buffer, 0, [Math]::Min($left, $buffer.Length))
            if ($count -le 0) { throw "standard input ended $left bytes early, in $path" }
            $file.Write($buffer, 0, $count)
            [void]$hash.TransformBlock($buffer, 0, $count, $null, 0)
            $left -= $count
        }
        [void]$hash.TransformFinalBlock($buffer, 0, 0)
        $file.Close()
        $written = [BitConverter]::ToString($hash.Hash).Replace('-', '').ToLower()
        [Console]::Out.WriteLine("$written  $path")
    }
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""

SEND = r"""
$ErrorActionPreference = 'Stop'
try {
    $file = [IO.File]::OpenRead($env:FLTLAB_FILE)
    $file.CopyTo([Console]::OpenStandardOutput())
    $file.Close()
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""

# The boot id is in a volatile registry key: Windows forgets it when it restarts, and a fork is given its own. The time
# of the last boot would not do: it moves when the clock is set.
IDENTITY = r"""
$ErrorActionPreference = 'Stop'
$system = Get-CimInstance Win32_OperatingSystem
$volatile = [Microsoft.Win32.RegistryOptions]::Volatile
$check = [Microsoft.Win32.RegistryKeyPermissionCheck]::Default
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\fltlab-boot', $check, $volatile)
if (-not $key.GetValue('id')) { $key.SetValue('id', [Guid]::NewGuid().ToString()) }
$random = New-Object byte[] 16
[Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($random)
$epoch = [DateTime]::SpecifyKind([DateTime]'1970-01-01', 'Utc')
@{
    boot_id = $key.GetValue('id')
    time = ([DateTime]::UtcNow - $epoch).TotalSeconds
    random = [BitConverter]::ToString($random).Replace('-', '')
    build = $system.Version
    caption = $system.Caption
} | ConvertTo-Json -Compress
"""

# What the host sent was true when this process was started, or a moment before: its own start is added. The message's
# entropy is not used: Windows takes none from a program, and renews its random numbers at a new VM generation id.
FORKED = r"""
$ErrorActionPreference = 'Stop'
try {
    $told = (New-Object IO.StreamReader([Console]::OpenStandardInput())).ReadToEnd() | ConvertFrom-Json
    $epoch = [DateTime]::SpecifyKind([DateTime]'1970-01-01', 'Utc')
    $late = [DateTime]::Now - (Get-Process -Id $PID).StartTime
    $now = ($epoch.AddSeconds([double]$told.time) + $late).ToLocalTime()
    Set-Date -Date $now | Out-Null
    $volatile = [Microsoft.Win32.RegistryOptions]::Volatile
    $check = [Microsoft.Win32.RegistryKeyPermissionCheck]::Default
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\fltlab-boot', $check, $volatile)
    $key.SetValue('id', $told.boot_id)
    @{ boot_id = $key.GetValue('id') } | ConvertTo-Json -Compress
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""

# The label is new for each CD: what Windows still remembers of the one before is not taken for it.
FROM_CD = r"""
$ErrorActionPreference = 'Stop'
try {
    $told = (New-Object IO.StreamReader([Console]::OpenStandardInput())).ReadToEnd() | ConvertFrom-Json
    $deadline = [DateTime]::UtcNow.AddSeconds(60)
    while ($true) {
        $ready = [IO.DriveInfo]::GetDrives() | Where-Object { $_.DriveType -eq 'CDRom' -and $_.IsReady }
        $drive = $ready | Where-Object { $_.VolumeLabel -eq $told.label } | Select-Object -First 1
        if ($drive) { break }
        if ([DateTime]::UtcNow -gt $deadline) { throw "no drive shows the CD $($told.label)" }
        Start-Sleep -Milliseconds 200
    }
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($told.path))
    $hash = [Security.Cryptography.SHA256]::Create()
    $buffer = New-Object byte[] 1048576
    $source = [IO.File]::OpenRead("$($drive.Name)$($told.file)")
    $file = [IO.File]::Create($told.path)
    while (($count = $source.Read($buffer, 0, $buffer.Length)) -gt 0) {
        $file.Write($buffer, 0, $count)
        [void]$hash.TransformBlock($buffer, 0, $count, $null, 0)
    }
    [void]$hash.TransformFinalBlock($buffer, 0, 0)
    $file.Close()
    $source.Close()
    $written = [BitConverter]::ToString($hash.Hash).Replace('-', '').ToLower()
    [Console]::Out.WriteLine("$written  $($told.path)")
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""


def powershell(script: str) -> str:
    """The command line that runs a script; ValueError if cmd.exe would cut it."""
    encoded = base64.b64encode(script.strip().encode("utf-16-le")).decode()
    # -InputFormat None: else PowerShell itself reads standard input, as objects for $input, beside the script.
    line = f"powershell.exe -NoProfile -NonInteractive -InputFormat None -EncodedCommand {encoded}"
    if len(line) > COMMAND_LINE_LIMIT:
        raise ValueError(f"the script makes a command line of {len(line)} characters, {COMMAND_LINE_LIMIT} is all")
    return line


WINDOWS = Profile(
    kind=GuestKind.WINDOWS,
    receive=powershell(RECEIVE),
    send='set "FLTLAB_FILE={path}"&& ' + powershell(SEND),
    identity=powershell(IDENTITY),
    forked=powershell(FORKED),
    kernel_status=None,
    kernel_restart=None,
    from_cd=powershell(FROM_CD),
)
