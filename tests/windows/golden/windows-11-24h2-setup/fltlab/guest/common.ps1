# What the guest's scripts have in common. Windows PowerShell 5.1, ASCII.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
Set-StrictMode -Version 2

$script:Root = 'C:\fltlab'
$script:Log = 'C:\fltlab\provision.log'
$script:Failed = @()

function Write-Mark {
    # A line in the log and on COM1, where the host reads it. A port that another script holds is tried again.
    param([string]$Text)
    $line = ($Text -replace '[^\x20-\x7e]', ' ').Trim()
    Add-Content -LiteralPath $script:Log -Value ('{0} {1}' -f [DateTime]::UtcNow.ToString('s'), $line)
    for ($attempt = 1; $attempt -le 5; $attempt++) {
        $port = New-Object System.IO.Ports.SerialPort 'COM1', 115200
        $port.WriteTimeout = 2000
        try {
            $port.Open()
            $port.Write($line + "`r`n")
            return
        }
        catch {
            Add-Content -LiteralPath $script:Log -Value ('COM1: {0}' -f $_.Exception.Message)
            Start-Sleep -Milliseconds 200
        }
        finally {
            $port.Dispose()
        }
    }
}

function Invoke-Step {
    # One step: it may be run again. A step that must not fail stops the build; another one leaves a warning.
    param([string]$Name, [scriptblock]$Body, [switch]$Optional)
    try {
        & $Body | Out-Null
        Write-Mark "FLTLAB-STEP-OK $Name"
    }
    catch {
        if ($Optional) {
            Write-Mark "FLTLAB-STEP-WARN $Name $($_.Exception.Message)"
        }
        else {
            $script:Failed += $Name
            Write-Mark "FLTLAB-STEP-FAIL $Name $($_.Exception.Message)"
        }
    }
}

function Invoke-Native {
    # A program; any exit code but the expected ones is an error with what it printed.
    param([string]$Program, [string[]]$Arguments, [int[]]$Expected = @(0))
    $ErrorActionPreference = 'Continue'
    $output = & $Program @Arguments 2>&1 | Out-String
    if ($Expected -notcontains $LASTEXITCODE) {
        throw "$Program ended with $LASTEXITCODE $output"
    }
    $output
}

function Set-Registry {
    param([string]$Path, [string]$Name, $Value, [string]$Type = 'DWord')
    if (-not (Test-Path -LiteralPath $Path)) {
        New-Item -Path $Path -Force | Out-Null
    }
    New-ItemProperty -LiteralPath $Path -Name $Name -Value $Value -PropertyType $Type -Force | Out-Null
}

function Get-Settings {
    Get-Content -LiteralPath 'C:\fltlab\setup\settings.json' -Raw | ConvertFrom-Json
}
