/* trace.h: what a WPP preprocessor would have made, in short, for builds without it. */
#pragma once

#if EVENTLOG_TRACE
#define TRACE(Level, ...) DbgPrintEx(DPFLTR_FLTMGR_ID, Level, "eventlog: " __VA_ARGS__)
#else
#define TRACE(Level, ...) ((void)0)
#endif

#define WPP_INIT_TRACING(DriverObject, RegistryPath) ((void)(DriverObject), (void)(RegistryPath))
#define WPP_CLEANUP(DriverObject) ((void)(DriverObject))
