@echo off
rem Runs as SYSTEM before anybody has logged on. %1 is the drive of the provisioning CD if Windows was not put on the
rem disk by install.cmd. It always ends with 0: another code would make Windows Setup give up.
setlocal EnableExtensions
set "LOG=C:\fltlab\specialize.log"
if not exist C:\fltlab\setup mkdir C:\fltlab\setup
call :say FLTLAB-SPECIALIZE-START
if not "%~1"=="" >>"%LOG%" 2>&1 xcopy.exe /e /i /y /q "%~1\fltlab\guest" C:\fltlab\setup
if not exist C:\fltlab\setup\provision.ps1 (
  call :say FLTLAB-SPECIALIZE-FAIL guest-files
  exit /b 0
)
>nul 2>&1 reg.exe add HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\OOBE /v BypassNRO /t REG_DWORD /d 1 /f
if errorlevel 1 call :say FLTLAB-SPECIALIZE-WARN oobe
>nul 2>&1 reg.exe add HKLM\SYSTEM\CurrentControlSet\Control\BitLocker /v PreventDeviceEncryption /t REG_DWORD /d 1 /f
if errorlevel 1 call :say FLTLAB-SPECIALIZE-WARN bitlocker
>nul 2>&1 reg.exe add HKLM\SYSTEM\CurrentControlSet\Control\TimeZoneInformation /v RealTimeIsUniversal /t REG_DWORD /d 1 /f
if errorlevel 1 call :say FLTLAB-SPECIALIZE-WARN clock
rem The host asks for WinRM before the password is set; ten refusals lock an account out for ten minutes.
>nul 2>&1 net.exe accounts /lockoutthreshold:0
if errorlevel 1 call :say FLTLAB-SPECIALIZE-WARN lockout
if "%~1"=="" goto :done
rem install.cmd has not been there: what it does offline is tried online. Windows may refuse it, and then says so.
for %%s in (Sense WdBoot WdFilter WdNisDrv WdNisSvc WinDefend MDCoreSvc) do call :disable %%s
:done
call :say FLTLAB-SPECIALIZE-DONE
exit /b 0

:say
>>"%LOG%" echo %*
>\\.\COM1 2>nul echo %*
exit /b 0

:disable
>nul 2>&1 reg.exe query "HKLM\SYSTEM\CurrentControlSet\Services\%1"
if errorlevel 1 exit /b 0
>>"%LOG%" 2>&1 reg.exe add "HKLM\SYSTEM\CurrentControlSet\Services\%1" /v Start /t REG_DWORD /d 4 /f
if errorlevel 1 call :say FLTLAB-SPECIALIZE-WARN service %1
exit /b 0
