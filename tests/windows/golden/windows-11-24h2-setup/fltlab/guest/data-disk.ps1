# Gives the second disk one partition with the file system wanted, and the letter V. It may be run again.
param([string]$FileSystem = 'NTFS', [string]$Serial = 'fltdata')
. 'C:\fltlab\setup\common.ps1'
$script:Log = 'C:\fltlab\data-disk.log'

$disk = @(Get-Disk | Where-Object { ([string]$_.SerialNumber).Trim() -eq $Serial })
if ($disk.Count -ne 1) {
    $seen = (Get-Disk | ForEach-Object { "$($_.Number): $(([string]$_.SerialNumber).Trim())" }) -join '; '
    throw "there are $($disk.Count) disks with the serial number $Serial ($seen)"
}
$number = $disk[0].Number
if ($disk[0].IsOffline) { Set-Disk -Number $number -IsOffline $false }
if ($disk[0].IsReadOnly) { Set-Disk -Number $number -IsReadOnly $false }
$volume = Get-Volume -DriveLetter 'V' -ErrorAction SilentlyContinue
if ($volume -and $volume.FileSystem -eq $FileSystem) {
    Write-Output "V: is $($volume.FileSystem)"
    exit 0
}
if ($disk[0].PartitionStyle -ne 'RAW') { Clear-Disk -Number $number -RemoveData -RemoveOEM -Confirm:$false }
Initialize-Disk -Number $number -PartitionStyle GPT
New-Partition -DiskNumber $number -UseMaximumSize -DriveLetter 'V' | Out-Null
Format-Volume -DriveLetter 'V' -FileSystem $FileSystem -NewFileSystemLabel 'fltlab' -Confirm:$false -Force | Out-Null
Write-Output "V: is $((Get-Volume -DriveLetter 'V').FileSystem)"
