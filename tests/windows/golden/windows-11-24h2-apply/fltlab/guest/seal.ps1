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
