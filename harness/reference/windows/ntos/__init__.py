"""The executive: exports of ntoskrnl.exe and HAL.dll, a room for each component, named as Windows names it."""
