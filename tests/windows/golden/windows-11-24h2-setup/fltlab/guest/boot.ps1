# Runs as SYSTEM at every start: sees that WinRM runs, and says so on COM1.
. 'C:\fltlab\setup\common.ps1'
$script:Log = 'C:\fltlab\boot.log'

$deadline = (Get-Date).AddMinutes(5)
$status = 'unknown'
do {
    try {
        Start-Service -Name 'WinRM'
        $status = [string](Get-Service -Name 'WinRM').Status
    }
    catch {
        $status = $_.Exception.Message
    }
    if ($status -eq 'Running') {
        Write-Mark 'FLTLAB-BOOT-WINRM'
        exit 0
    }
    Start-Sleep -Seconds 2
} while ((Get-Date) -lt $deadline)
Write-Mark "FLTLAB-BOOT-FAIL WinRM $status"
exit 1
