# Sets the guest up at its first logon. Every step may be run again, is logged, and is mirrored to COM1.
. 'C:\fltlab\setup\common.ps1'
$settings = Get-Settings
$system = 'HKLM:\SYSTEM\CurrentControlSet'
$policies = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows'

Write-Mark 'FLTLAB-PROVISION-START'

Invoke-Step 'firewall' {
    Set-NetFirewallProfile -Profile @('Domain', 'Private', 'Public') -Enabled False
}

Invoke-Step 'network' -Optional {
    # Unidentified networks are private from now on, and nobody is asked about new ones.
    $signature = '010103000F0000F0010000000F0000F0C967A3643C3AD745950DA7859209176EF5B87C875FA20DF21951640E807D7C24'
    $lists = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\CurrentVersion\NetworkList\Signatures'
    Set-Registry "$lists\$signature" 'Category' 1
    Set-Registry "$system\Control\Network\NewNetworkWindowOff" '(default)' '' 'String'
    $deadline = (Get-Date).AddMinutes(2)
    do {
        $found = @(Get-NetConnectionProfile -ErrorAction SilentlyContinue)
        $public = @($found | Where-Object { $_.NetworkCategory -eq 'Public' })
        if ($found.Count -gt 0 -and $public.Count -eq 0) { return }
        $public | Set-NetConnectionProfile -NetworkCategory Private -ErrorAction SilentlyContinue
        Start-Sleep -Seconds 2
    } while ((Get-Date) -lt $deadline)
    throw 'no network connection became private in two minutes'
}

Invoke-Step 'account' {
    # The group by its SID: its name is in the language of this Windows, and the answer file has the English one.
    $members = @(Get-LocalGroupMember -SID 'S-1-5-32-544' | ForEach-Object { ($_.Name -split '\\')[-1] })
    if ($members -notcontains $settings.account) {
        Add-LocalGroupMember -SID 'S-1-5-32-544' -Member $settings.account
    }
}

Invoke-Step 'remote-tokens' {
    # An administrator who comes over the network has the whole token, and with it SeLoadDriverPrivilege.
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    Set-Registry $key 'LocalAccountTokenFilterPolicy' 1
    Set-Registry $key 'FilterAdministratorToken' 0
    Set-Registry $key 'ConsentPromptBehaviorAdmin' 0
    Set-Registry $key 'PromptOnSecureDesktop' 0
}

Invoke-Step 'passwords' {
    # No lockout: Windows 11 and Server 2025 lock even the administrator out after ten refusals, for ten minutes.
    Invoke-Native 'net.exe' @('accounts', '/maxpwage:unlimited')
    Invoke-Native 'net.exe' @('accounts', '/lockoutthreshold:0')
    Get-LocalUser | Where-Object { $_.Enabled } | Set-LocalUser -PasswordNeverExpires $true
}

Invoke-Step 'scripts' {
    # Clients run none by default, not even those that modules such as Storage are made of.
    Set-Registry 'HKLM:\SOFTWARE\Microsoft\PowerShell\1\ShellIds\Microsoft.PowerShell' 'ExecutionPolicy' 'Bypass' 'String'
}

function Set-WinRm {
    # Only what is different: on a network that counts as public Windows may refuse to change its WinRM service.
    param([string]$Path, $Value)
    $item = "WSMan:\localhost\$Path"
    if ([string](Get-Item $item).Value -ne [string]$Value) { Set-Item $item $Value -Force }
}

Invoke-Step 'winrm' {
    Set-Service -Name 'WinRM' -StartupType Automatic
    Start-Service -Name 'WinRM'
    Enable-PSRemoting -Force -SkipNetworkProfileCheck
    $basic = $settings.winrm -eq 'basic'
    Set-WinRm 'Service\AllowUnencrypted' $basic
    Set-WinRm 'Service\Auth\Basic' $basic
    Set-WinRm 'Service\Auth\Negotiate' $true
    if ($settings.winrm -eq 'https') {
        $subject = 'CN=fltlab guest'
        $store = 'Cert:\LocalMachine\My'
        $mine = @(Get-ChildItem $store | Where-Object { $_.Subject -eq $subject })
        if ($mine.Count -eq 0) {
            # Valid since yesterday: this guest's clock may be ahead of the host's.
            $valid = @{ NotBefore = (Get-Date).AddDays(-1); NotAfter = (Get-Date).AddYears(10) }
            $mine = @(New-SelfSignedCertificate -Subject $subject -DnsName 'localhost' -CertStoreLocation $store @valid)
        }
        $listener = @(Get-ChildItem 'WSMan:\localhost\Listener' | Where-Object { $_.Keys -contains 'Transport=HTTPS' })
        if ($listener.Count -eq 0) {
            New-Item -Path 'WSMan:\localhost\Listener' -Transport HTTPS -Address '*' -CertificateThumbPrint $mine[0].Thumbprint -Force
        }
        $hash = [Security.Cryptography.SHA256]::Create().ComputeHash($mine[0].RawData)
        Write-Mark "FLTLAB-CERTIFICATE $([BitConverter]::ToString($hash).Replace('-', ''))"
    }
}

Invoke-Step 'winrm-limits' -Optional {
    # The host keeps to Windows' own limits, and one more shell or process is no reason to give up.
    Set-WinRm 'MaxTimeoutms' 1800000
    Set-WinRm 'MaxEnvelopeSizekb' 8192
    Set-WinRm 'Shell\MaxMemoryPerShellMB' 4096
    Set-WinRm 'Shell\MaxShellsPerUser' 100
    Set-WinRm 'Shell\MaxProcessesPerShell' 100
    Set-WinRm 'Shell\IdleTimeout' 7200000
}

Invoke-Step 'boot-task' {
    # At every start: see that WinRM runs, and tell the host on COM1.
    $arguments = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -File C:\fltlab\setup\boot.ps1'
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
    $trigger = New-ScheduledTaskTrigger -AtStartup
    $account = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    Register-ScheduledTask -TaskName 'fltlab-boot' -Action $action -Trigger $trigger -Principal $account -Force
}

Invoke-Step 'openssh' {
    if ($settings.openssh -eq 'none') { return }
    if ($settings.openssh -eq 'archive') {
        $target = 'C:\Program Files\OpenSSH'
        if (-not (Test-Path -LiteralPath "$target\sshd.exe")) {
            Expand-Archive -LiteralPath 'C:\fltlab\setup\openssh.zip' -DestinationPath 'C:\fltlab\openssh' -Force
            $program = Get-ChildItem 'C:\fltlab\openssh' -Recurse -Filter 'sshd.exe' | Select-Object -First 1
            Move-Item -LiteralPath $program.DirectoryName -Destination $target
        }
        Invoke-Native 'powershell.exe' @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', "$target\install-sshd.ps1")
    }
    Set-Service -Name 'sshd' -StartupType Automatic
    Start-Service -Name 'sshd'
    # sshd takes this file only if nobody but administrators and the system may write it.
    $authorized = 'C:\ProgramData\ssh\administrators_authorized_keys'
    Copy-Item -LiteralPath 'C:\fltlab\setup\ssh_key.pub' -Destination $authorized -Force
    Invoke-Native 'icacls.exe' @($authorized, '/inheritance:r', '/grant', '*S-1-5-32-544:F', '/grant', '*S-1-5-18:F')
}

Invoke-Step 'openssh-key' -Optional {
    # Without this line the host trusts no key, and sends large files another way.
    if ($settings.openssh -eq 'none') { return }
    $public = 'C:\ProgramData\ssh\ssh_host_ed25519_key.pub'
    $deadline = (Get-Date).AddMinutes(1)
    while (-not (Test-Path -LiteralPath $public)) {
        if ((Get-Date) -gt $deadline) { throw "sshd has made no $public in a minute" }
        Start-Sleep -Seconds 1
    }
    $words = (Get-Content -LiteralPath $public -Raw).Trim() -split ' '
    Write-Mark "FLTLAB-SSH-HOST-KEY $($words[0]) $($words[1])"
}

Invoke-Step 'boot-options' {
    $wanted = @(
        @('recoveryenabled', 'no'),
        @('bootstatuspolicy', 'ignoreallfailures'),
        @('hypervisorlaunchtype', 'off')
    )
    if ($settings.test_signing) { $wanted += , @('testsigning', 'on') }
    foreach ($option in $wanted) {
        Invoke-Native 'bcdedit.exe' @('/set', '{current}', $option[0], $option[1])
    }
    if ($settings.kernel_debugger -eq 'serial') {
        Invoke-Native 'bcdedit.exe' @('/dbgsettings', 'serial', 'debugport:2', 'baudrate:115200')
        Invoke-Native 'bcdedit.exe' @('/debug', '{current}', 'on')
    }
}

Invoke-Step 'crash' {
    $key = "$system\Control\CrashControl"
    Set-Registry $key 'CrashDumpEnabled' 2
    Set-Registry $key 'AlwaysKeepMemoryDump' 1
    Set-Registry $key 'Overwrite' 1
    Set-Registry $key 'AutoReboot' 1
    Set-Registry $key 'NMICrashDump' 1
    Set-Registry $key 'LogEvent' 1
    # A kernel dump is staged in the page file, which must be larger than memory and on the system disk.
    $computer = Get-CimInstance -ClassName 'Win32_ComputerSystem'
    if ($computer.AutomaticManagedPagefile) {
        Set-CimInstance -InputObject $computer -Property @{ AutomaticManagedPagefile = $false }
    }
    $size = [int]$settings.memory_mib + 1024
    $memory = "$system\Control\Session Manager\Memory Management"
    Set-Registry $memory 'PagingFiles' @("C:\pagefile.sys $size $size") 'MultiString'
}

Invoke-Step 'debug-print' {
    # Without a mask of its own a component's errors are all that is printed. The masks are read at boot.
    foreach ($component in 'DEFAULT', 'IHVDRIVER', 'FLTMGR', 'VERIFIER') {
        Set-Registry "$system\Control\Session Manager\Debug Print Filter" $component 15
    }
}

Invoke-Step 'virtualization-based-security' {
    Set-Registry "$system\Control\DeviceGuard" 'EnableVirtualizationBasedSecurity' 0
    Set-Registry "$system\Control\DeviceGuard\Scenarios\HypervisorEnforcedCodeIntegrity" 'Enabled' 0
    Set-Registry "$system\Control\CI\Config" 'VulnerableDriverBlocklistEnable' 0
}

Invoke-Step 'certificates' {
    foreach ($certificate in @(Get-ChildItem 'C:\fltlab\setup\certificates\*.cer' -ErrorAction SilentlyContinue)) {
        Invoke-Native 'certutil.exe' @('-f', '-addstore', 'Root', $certificate.FullName)
        Invoke-Native 'certutil.exe' @('-f', '-addstore', 'TrustedPublisher', $certificate.FullName)
    }
}

Invoke-Step 'power' {
    # The machine has neither S3 nor S4: whether powercfg then calls "off" an error is no matter.
    Set-Registry "$system\Control\Power" 'HibernateEnabled' 0
    Invoke-Native 'powercfg.exe' @('/hibernate', 'off') @(0, 1)
    foreach ($name in @('monitor-timeout-ac', 'disk-timeout-ac', 'standby-timeout-ac')) {
        Invoke-Native 'powercfg.exe' @('/change', $name, '0')
    }
    Set-Registry "$system\Control\Session Manager\Power" 'HiberbootEnabled' 0
}

Invoke-Step 'updates' -Optional {
    Set-Registry "$policies\WindowsUpdate\AU" 'NoAutoUpdate' 1
    Set-Registry "$policies\WindowsUpdate" 'DoNotConnectToWindowsUpdateInternetLocations' 1
    # Windows protects some of these on some releases: one that refuses must not keep the others on.
    $refused = @()
    foreach ($name in @('WSearch', 'SysMain', 'DiagTrack', 'wuauserv', 'UsoSvc')) {
        if (-not (Get-Service -Name $name -ErrorAction SilentlyContinue)) { continue }
        try {
            Stop-Service -Name $name -Force -ErrorAction SilentlyContinue
            Set-Service -Name $name -StartupType Disabled
        }
        catch { $refused += "$name ($($_.Exception.Message))" }
    }
    if ($refused.Count -gt 0) { throw "not switched off: $($refused -join '; ')" }
}

Invoke-Step 'maintenance' -Optional {
    # Windows' own work at idle times would come into what is measured.
    Set-Registry 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\Maintenance' 'MaintenanceDisabled' 1
    $refused = @()
    foreach ($task in @('Defrag\ScheduledDefrag', 'Servicing\StartComponentCleanup', 'DiskCleanup\SilentCleanup',
            'Application Experience\Microsoft Compatibility Appraiser', 'Chkdsk\ProactiveScan')) {
        $path = "\Microsoft\Windows\$(Split-Path $task)\"
        $found = @(Get-ScheduledTask -TaskPath $path -TaskName (Split-Path $task -Leaf) -ErrorAction SilentlyContinue)
        try { $found | Disable-ScheduledTask | Out-Null }
        catch { $refused += "$task ($($_.Exception.Message))" }
    }
    if ($refused.Count -gt 0) { throw "not switched off: $($refused -join '; ')" }
}

Invoke-Step 'quiet' -Optional {
    # Nothing that waits for somebody at the screen.
    Set-Registry 'HKLM:\SOFTWARE\Microsoft\Windows\Windows Error Reporting' 'DontShowUI' 1
    Set-Registry "$system\Control\Windows" 'ErrorMode' 2
    Set-Registry 'HKLM:\SOFTWARE\Microsoft\ServerManager' 'DoNotOpenServerManagerAtLogon' 1
    Set-Registry 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\Reliability' 'ShutdownReasonOn' 0
}

Invoke-Step 'time' {
    # The host sets the clock after a fork; nobody else shall.
    Set-Service -Name 'W32Time' -StartupType Manual
    Stop-Service -Name 'W32Time' -Force -ErrorAction SilentlyContinue
}

if ($script:Failed.Count -gt 0) {
    Write-Mark "FLTLAB-PROVISION-FAIL $($script:Failed -join ',')"
    exit 1
}
Write-Mark 'FLTLAB-PROVISION-DONE'
Invoke-Native 'shutdown.exe' @('/r', '/f', '/t', '5')
