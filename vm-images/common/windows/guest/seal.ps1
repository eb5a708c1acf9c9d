# Makes the installed system a golden image: secrets and traces of the installation go, then it shuts down.
. 'C:\fltlab\setup\common.ps1'

Write-Mark 'FLTLAB-SEAL-START'

Invoke-Step 'forget-answers' {
    foreach ($file in @(
        'C:\Windows\Panther\unattend.xml',
        'C:\Windows\Panther\Unattend\unattend.xml',
        'C:\Windows\Panther\unattend-original.xml',
        'C:\Windows\System32\Sysprep\unattend.xml')) {
        if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force }
    }
}

Invoke-Step 'forget-logon' {
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
    Set-Registry $key 'AutoAdminLogon' '0' 'String'
    foreach ($name in @('DefaultPassword', 'AutoLogonCount')) {
        Remove-ItemProperty -LiteralPath $key -Name $name -ErrorAction SilentlyContinue
    }
}

Invoke-Step 'forget-secret' {
    # Where a password for the automatic logon came by an answer file, Windows may keep it as a secret of the LSA. Without
    # this name it cannot be asked for; a secret that is not there (0xC0000034) is as good.
    $source = @'
using System;
using System.Runtime.InteropServices;
public static class Lsa {
    [StructLayout(LayoutKind.Sequential)]
    struct Text { public ushort Length; public ushort Maximum; public IntPtr Buffer; }
    [StructLayout(LayoutKind.Sequential)]
    struct Attributes { public int Length; public IntPtr Root; public IntPtr Name; public uint Flags; public IntPtr A; public IntPtr B; }
    [DllImport("advapi32.dll")]
    static extern uint LsaOpenPolicy(IntPtr system, ref Attributes attributes, uint access, out IntPtr policy);
    [DllImport("advapi32.dll")]
    static extern uint LsaStorePrivateData(IntPtr policy, ref Text key, IntPtr data);
    [DllImport("advapi32.dll")]
    static extern uint LsaClose(IntPtr policy);
    public static uint Forget(string name) {
        var attributes = new Attributes();
        attributes.Length = Marshal.SizeOf(typeof(Attributes));
        IntPtr policy;
        uint status = LsaOpenPolicy(IntPtr.Zero, ref attributes, 0x20, out policy);
        if (status != 0) { return status; }
        var key = new Text();
        key.Length = (ushort)(name.Length * 2);
        key.Maximum = (ushort)(key.Length + 2);
        key.Buffer = Marshal.StringToHGlobalUni(name);
        try { return LsaStorePrivateData(policy, ref key, IntPtr.Zero); }
        finally { Marshal.FreeHGlobal(key.Buffer); LsaClose(policy); }
    }
}
'@
    Add-Type -TypeDefinition $source
    $status = [Lsa]::Forget('DefaultPassword')
    if (@(0, 3221225524) -notcontains $status) { throw ('LsaStorePrivateData: 0x{0:x8}' -f $status) }
}

function Wait-Bounded {
    # A program of Windows that works off what it has put aside, for so many minutes at most.
    param([string]$Program, [string]$Arguments, [int]$Minutes)
    $process = Start-Process -FilePath $Program -ArgumentList $Arguments -WindowStyle Hidden -PassThru
    if (-not $process.WaitForExit($Minutes * 60000)) {
        $process.Kill()
        throw "not done in $Minutes minutes"
    }
}

Invoke-Step 'idle-tasks' -Optional {
    # What Windows does when nobody uses it is done now, and not while a test is measured.
    Wait-Bounded 'rundll32.exe' 'advapi32.dll,ProcessIdleTasks' 8
}

Invoke-Step 'compiled-code' -Optional {
    foreach ($folder in @('Framework', 'Framework64')) {
        $program = "C:\Windows\Microsoft.NET\$folder\v4.0.30319\ngen.exe"
        if (Test-Path -LiteralPath $program) { Wait-Bounded $program 'executeQueuedItems /nologo /silent' 5 }
    }
}

Invoke-Step 'recovery' -Optional {
    # Half a gigabyte that nobody boots: a guest that is lost is made again.
    Invoke-Native 'reagentc.exe' @('/disable') @(0, 1, 2)
    $image = 'C:\Windows\System32\Recovery\winre.wim'
    if (Test-Path -LiteralPath $image) { Remove-Item -LiteralPath $image -Force }
}

Invoke-Step 'logs' -Optional {
    foreach ($log in @('Application', 'Security', 'Setup', 'System')) {
        Invoke-Native 'wevtutil.exe' @('clear-log', $log)
    }
}

Invoke-Step 'trim' -Optional {
    Invoke-Native 'defrag.exe' @('C:', '/L')
}

if ($script:Failed.Count -gt 0) {
    Write-Mark "FLTLAB-SEAL-FAIL $($script:Failed -join ',')"
    exit 1
}
Write-Mark 'FLTLAB-SEAL-DONE'
Invoke-Native 'shutdown.exe' @('/s', '/f', '/t', '5')
