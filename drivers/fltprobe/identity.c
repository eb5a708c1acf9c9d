/*
 * identity.c: steps by which the script's thread acts as somebody else. A spawned step is nobody but the process.
 */

#include "probe.h"

#define SELF 0
#define STANDARD_USER 1
#define ANONYMOUS 2
#define THREAD_IMPERSONATION_TOKEN 5
#define LUA_TOKEN 0x4
#define IMPERSONATION_TOKEN 2

NTSTATUS
SetToken(HANDLE Token)
{
    return NtSetInformationThread(NtCurrentThread(), (THREADINFOCLASS)THREAD_IMPERSONATION_TOKEN, &Token,
                                  sizeof(Token));
}

/* An impersonation token of this process: of all that it may do, or of what a standard user may. */
static NTSTATUS
NewToken(ULONG Who, SECURITY_IMPERSONATION_LEVEL Level, HANDLE *Token)
{
    SECURITY_QUALITY_OF_SERVICE Quality;
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Own;
    HANDLE Less;
    NTSTATUS Status = NtOpenProcessToken(NtCurrentProcess(), TOKEN_ALL_ACCESS, &Own);

    if (Status >= 0 && Who == STANDARD_USER) {
        Status = NtFilterToken(Own, LUA_TOKEN, NULL, NULL, NULL, &Less);
        NtClose(Own);
        Own = Less;
    }
    if (Status < 0) {
        return Status;
    }
    memset(&Quality, 0, sizeof(Quality));
    Quality.Length = sizeof(Quality);
    Quality.ImpersonationLevel = Level;
    InitializeObjectAttributes(&Attributes, NULL, 0, NULL, NULL);
    Attributes.SecurityQualityOfService = &Quality;
    Status = NtDuplicateToken(Own, TOKEN_ALL_ACCESS, &Attributes, FALSE, IMPERSONATION_TOKEN, Token);
    NtClose(Own);
    return Status;
}

/* impersonate <who> [level=]: until `revert` */
void
ImpersonateVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Text = Value(Line, "level");
    ULONG Who = OneOf(Line, "client ", Line->Words[1], WhoWords);
    ULONG Level = Text != NULL ? OneOf(Line, "level=", Text, LevelWords) : SecurityImpersonation;
    HANDLE Token;

    if (Who == ANONYMOUS) {
        Step->Status = NtImpersonateAnonymousToken(NtCurrentThread());
        return;
    }
    Step->Status = NewToken(Who, (SECURITY_IMPERSONATION_LEVEL)Level, &Token);
    if (Step->Status >= 0) {
        Step->Status = SetToken(Token);
        NtClose(Token);
    }
}

/* revert */
void
RevertVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    (void)Line;
    Step->Status = SetToken(NULL);
}
