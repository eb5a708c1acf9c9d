/* The driver's provider of self-describing events. */

#include <fltKernel.h>
#include <TraceLoggingProvider.h>

#include "trace.h"
#include "Provider.tmh"

TRACELOGGING_DEFINE_PROVIDER(TracerProvider, "Example.Tracer",
                             (0x6a1c0f3e, 0x2d4b, 0x4c55, 0x9b, 0x21, 0x33, 0x7a, 0x0c, 0x5e, 0x48, 0xd2));
