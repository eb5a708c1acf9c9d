/*
 * loading.c: steps that attach, detach, load, unload and stop minifilters.
 */

#include "probe.h"

#define LOAD_DRIVER_PRIVILEGE 10 /* SE_LOAD_DRIVER_PRIVILEGE */

/* fltlib's callers must have SeLoadDriverPrivilege enabled; where that fails, the call itself says so. */
static void
EnablePrivilege(void)
{
    BOOLEAN WasEnabled;

    RtlAdjustPrivilege(LOAD_DRIVER_PRIVILEGE, TRUE, FALSE, &WasEnabled);
}

/* The service of a label: a deployment of ours calls it fltlab-<label>, unless service= says otherwise. */
static const WCHAR *
Service(const PROBE_LINE *Line)
{
    const char *Name = Value(Line, "service");

    return Wide(Name != NULL ? Name : Join("fltlab-", Line->Words[1]), NULL);
}

static const WCHAR *
Instance(const PROBE_LINE *Line)
{
    const char *Name = Value(Line, "instance");

    return Name != NULL ? Wide(Name, NULL) : NULL;
}

/* attach <label> [volume=V:] [service=] [instance=] */
void
AttachVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Volume = Value(Line, "volume");

    EnablePrivilege();
    Step->Status =
        (NTSTATUS)FilterAttach(Service(Line), Wide(Volume != NULL ? Volume : "V:", NULL), Instance(Line), 0, NULL);
}

/* detach <label> [volume=V:] [service=] [instance=] */
void
DetachVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Volume = Value(Line, "volume");

    EnablePrivilege();
    Step->Status = (NTSTATUS)FilterDetach(Service(Line), Wide(Volume != NULL ? Volume : "V:", NULL), Instance(Line));
}

/* load <service> */
void
LoadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    EnablePrivilege();
    Step->Status = (NTSTATUS)FilterLoad(Wide(Line->Words[1], NULL));
}

/* unload <service> */
void
UnloadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    DrainFilters();
    EnablePrivilege();
    Step->Status = (NTSTATUS)FilterUnload(Wide(Line->Words[1], NULL));
}

/* stop <service>: what the service controller does for SERVICE_CONTROL_STOP of a driver */
void
StopVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    static const WCHAR Services[] = L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\";
    WCHAR Key[RTL_NUMBER_OF(Services) + 128];
    const WCHAR *Service = Wide(Line->Words[1], NULL);
    UNICODE_STRING Name;
    ULONG Length;

    DrainFilters();
    EnablePrivilege();
    memcpy(Key, Services, sizeof(Services));
    for (Length = RTL_NUMBER_OF(Services) - 1; *Service != 0 && Length < RTL_NUMBER_OF(Key) - 1; Length++) {
        Key[Length] = *Service++;
    }
    Name.Buffer = Key;
    Name.Length = (USHORT)(Length * sizeof(WCHAR));
    Name.MaximumLength = sizeof(Key);
    Step->Status = NtUnloadDriver(&Name);
}
