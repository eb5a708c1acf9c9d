/* What the driver traces by WPP. */

#pragma once

#include <evntrace.h>

#define WPP_CONTROL_GUIDS                                                                                              \
    WPP_DEFINE_CONTROL_GUID(Tracer, (c3b1f5a2, 4b5e, 4d0e, 9a3d, 5f1e0c7b2a64),                                        \
                            WPP_DEFINE_BIT(TRACE_DRIVER) WPP_DEFINE_BIT(TRACE_CREATE))

// begin_wpp config
// FUNC TraceEvents(LEVEL, FLAGS, MSG, ...);
// FUNC TraceEntry{LEVEL=TRACE_LEVEL_VERBOSE}(FLAGS);
// USESUFFIX(TraceEntry, "%!FUNC! entered");
// end_wpp
