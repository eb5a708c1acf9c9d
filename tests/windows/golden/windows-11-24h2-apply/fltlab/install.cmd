@echo off
rem Puts Windows on the first disk, from Windows PE. %1 is the drive of the provisioning CD.
rem What matters goes to COM1 as well, where the host reads it; the tools' output goes to X:\fltlab.log.
rem A redirection stands first in its line: "echo ... 1> file" would send handle 1 there, and lose the 1.
setlocal EnableExtensions
set "CDROM=%~1"
set "LOG=X:\fltlab.log"
set "INDEX=3"
set "REASON="
call :say FLTLAB-PE-START

set "IMAGE="
for %%d in (C D E F G H I J K L) do (
  if exist "%%d:\sources\install.esd" set "IMAGE=%%d:\sources\install.esd"
  if exist "%%d:\sources\install.wim" set "IMAGE=%%d:\sources\install.wim"
)
if not defined IMAGE (
  set "REASON=no-install-image"
  goto :failed
)
call :say FLTLAB-PE-IMAGE %IMAGE% index %INDEX%

>>"%LOG%" 2>&1 diskpart.exe /s "%CDROM%\fltlab\diskpart.txt"
if errorlevel 1 (
  set "REASON=diskpart"
  goto :failed
)
if not exist W:\ (
  set "REASON=diskpart-no-volume"
  goto :failed
)
call :say FLTLAB-PE-PARTITIONED

>>"%LOG%" 2>&1 dism.exe /Apply-Image /ImageFile:"%IMAGE%" /Index:%INDEX% /ApplyDir:W:\
if errorlevel 1 (
  set "REASON=dism-apply"
  goto :failed
)
if not exist W:\Windows\System32\ntoskrnl.exe (
  set "REASON=dism-no-windows"
  goto :failed
)
call :say FLTLAB-PE-APPLIED

>>"%LOG%" 2>&1 bcdboot.exe W:\Windows /s S: /f UEFI
if errorlevel 1 (
  set "REASON=bcdboot"
  goto :failed
)
rem The removable-media path: the image must boot on a machine whose firmware has never seen this disk.
if not exist S:\EFI\Boot\bootx64.efi (
  >>"%LOG%" 2>&1 mkdir S:\EFI\Boot
  >>"%LOG%" 2>&1 copy /y S:\EFI\Microsoft\Boot\bootmgfw.efi S:\EFI\Boot\bootx64.efi
)
if not exist S:\EFI\Boot\bootx64.efi (
  set "REASON=no-boot-loader"
  goto :failed
)
set "BCD=S:\EFI\Microsoft\Boot\BCD"
call :bcd {default} testsigning on
call :bcd {default} recoveryenabled no
call :bcd {default} bootstatuspolicy ignoreallfailures
call :bcd {bootmgr} timeout 0
rem Nobody boots the recovery environment of a guest, and it is half a gigabyte.
>nul 2>&1 attrib.exe -h -s -r W:\Windows\System32\Recovery\winre.wim
>nul 2>&1 del /f W:\Windows\System32\Recovery\winre.wim
call :say FLTLAB-PE-BOOT-FILES

>>"%LOG%" 2>&1 mkdir W:\Windows\Panther
>>"%LOG%" 2>&1 copy /y "%CDROM%\fltlab\unattend.xml" W:\Windows\Panther\unattend.xml
if errorlevel 1 (
  set "REASON=answer-file"
  goto :failed
)
rem Files of a CD are read-only, and Setup takes the passwords out of this one.
>>"%LOG%" 2>&1 attrib.exe -r W:\Windows\Panther\unattend.xml
>>"%LOG%" 2>&1 xcopy.exe /e /i /y /q "%CDROM%\fltlab\guest" W:\fltlab\setup
if errorlevel 1 (
  set "REASON=guest-files"
  goto :failed
)

rem Offline, because Windows' tamper protection refuses it later.
>>"%LOG%" 2>&1 reg.exe load HKLM\offline W:\Windows\System32\config\SYSTEM
if errorlevel 1 (
  set "REASON=registry"
  goto :failed
)
for %%s in (Sense WdBoot WdFilter WdNisDrv WdNisSvc WinDefend MDCoreSvc) do call :disable %%s
call :number "HKLM\offline\ControlSet001\Control\BitLocker" PreventDeviceEncryption 1
call :number "HKLM\offline\ControlSet001\Control\CI\Policy" VerifiedAndReputablePolicyState 0
call :number "HKLM\offline\ControlSet001\Control\Session Manager\Power" HiberbootEnabled 0
rem QEMU's clock is in UTC, and so it is read from the first start on: an image's own zone is Redmond's.
call :number "HKLM\offline\ControlSet001\Control\TimeZoneInformation" RealTimeIsUniversal 1
>>"%LOG%" 2>&1 reg.exe unload HKLM\offline
if errorlevel 1 (
  set "REASON=registry-unload"
  goto :failed
)
>nul 2>&1 copy /y "%LOG%" W:\fltlab\setup\windows-pe.log
call :say FLTLAB-PE-DONE
wpeutil.exe reboot
goto :hang

:failed
call :say FLTLAB-PE-FAIL %REASON%
>\\.\COM1 2>nul type "%LOG%"
call :say FLTLAB-PE-LOG-END
:hang
>nul 2>&1 ping.exe -n 3600 127.0.0.1
if errorlevel 1 >nul pause
goto :hang

:say
echo %*
>>"%LOG%" echo %*
>\\.\COM1 2>nul echo %*
exit /b 0

:bcd
>>"%LOG%" 2>&1 bcdedit.exe /store "%BCD%" /set %1 %2 %3
if errorlevel 1 call :say FLTLAB-PE-WARN bcdedit %2
exit /b 0

:disable
>nul 2>&1 reg.exe query "HKLM\offline\ControlSet001\Services\%1"
if errorlevel 1 exit /b 0
call :number "HKLM\offline\ControlSet001\Services\%1" Start 4
exit /b 0

:number
>>"%LOG%" 2>&1 reg.exe add %1 /v %2 /t REG_DWORD /d %3 /f
if errorlevel 1 call :say FLTLAB-PE-WARN registry %2
exit /b 0
