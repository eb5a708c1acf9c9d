/*
 * TraceLoggingProvider.h: providers of self-describing events, on a system where nobody listens.
 *
 * A provider is registered and unregistered by EtwRegister and EtwUnregister, so that one that a driver forgets at
 * unload is seen. The fields of an event are not evaluated, as on Windows where no session has enabled the provider.
 */

#ifndef FLTLAB_TRACELOGGINGPROVIDER_H
#define FLTLAB_TRACELOGGINGPROVIDER_H

#include <winmeta.h>

typedef struct _FLTLAB_TRACE_PROVIDER {
    GUID Id;
    REGHANDLE Handle;
} FLTLAB_TRACE_PROVIDER;

typedef FLTLAB_TRACE_PROVIDER *TraceLoggingHProvider;

#ifdef __cplusplus
#define FLTLAB_TRACE_C extern "C"
#else
#define FLTLAB_TRACE_C extern
#endif

#define FLTLAB_TRACE_ID(a, b, c, d, e, f, g, h, i, j, k)                                                               \
    {                                                                                                                  \
        a, b, c,                                                                                                       \
        {                                                                                                              \
            d, e, f, g, h, i, j, k                                                                                     \
        }                                                                                                              \
    }

#define TRACELOGGING_DECLARE_PROVIDER(handle) FLTLAB_TRACE_C const TraceLoggingHProvider handle

#define TRACELOGGING_DEFINE_PROVIDER(handle, name, id, ...)                                                            \
    static FLTLAB_TRACE_PROVIDER handle##Provider = {FLTLAB_TRACE_ID id, 0};                                           \
    TRACELOGGING_DECLARE_PROVIDER(handle);                                                                             \
    const TraceLoggingHProvider handle = &handle##Provider

static __inline NTSTATUS
FltLabTraceRegister(TraceLoggingHProvider Provider, PETWENABLECALLBACK Callback, PVOID Context)
{
    return EtwRegister(&Provider->Id, Callback, Context, &Provider->Handle);
}

static __inline VOID
FltLabTraceUnregister(TraceLoggingHProvider Provider)
{
    if (Provider->Handle != 0) {
        EtwUnregister(Provider->Handle);
        Provider->Handle = 0;
    }
}

#define TraceLoggingRegister(handle) FltLabTraceRegister(handle, NULL, NULL)
#define TraceLoggingRegisterEx(handle, callback, context) FltLabTraceRegister(handle, callback, context)
#define TraceLoggingUnregister(handle) FltLabTraceUnregister(handle)
#define TraceLoggingProviderEnabled(handle, level, keyword) ((VOID)(handle), FALSE)
#define TraceLoggingProviderId(handle) ((handle)->Id)
#define TraceLoggingWrite(handle, ...) ((VOID)(handle))
#define TraceLoggingWriteActivity(handle, ...) ((VOID)(handle))

#endif /* FLTLAB_TRACELOGGINGPROVIDER_H */
