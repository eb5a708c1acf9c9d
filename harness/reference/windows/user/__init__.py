"""The user-mode side: processes, ntdll and fltlib as programs import them. Programs run as machine code."""
