"""Exports of ntoskrnl.exe and HAL.dll, by topic."""
