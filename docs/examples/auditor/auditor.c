/*
 * auditor.c: who opens what. For each open that may change a *.ledger the owner of the token that asks, whether he
 * impersonates, is an administrator and elevated, and the access, go to the debugger.
 * Guests of a restricted token are refused.
 */

#include <fltKernel.h>

PFLT_FILTER AuditFilter;

DRIVER_INITIALIZE DriverEntry;
FLT_PREOP_CALLBACK_STATUS FLTAPI AuditPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                PVOID *CompletionContext);
NTSTATUS FLTAPI AuditUnload(FLT_FILTER_UNLOAD_FLAGS Flags);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, AuditPreCreate)
#pragma alloc_text(PAGE, AuditUnload)
#endif

/* The SID of a token's user as a string, RtlFreeUnicodeString's to free. */
static NTSTATUS
UserOf(_In_ PACCESS_TOKEN Token, _Out_ PUNICODE_STRING Sid)
{
    PTOKEN_USER User;
    NTSTATUS Status;

    PAGED_CODE();
    Status = SeQueryInformationToken(Token, TokenUser, (PVOID *)&User);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = RtlConvertSidToUnicodeString(Sid, User->User.Sid, TRUE);
    ExFreePool(User);
    return Status;
}

static BOOLEAN
IsElevated(_In_ PACCESS_TOKEN Token)
{
    PTOKEN_ELEVATION Elevation;
    BOOLEAN Elevated = FALSE;

    PAGED_CODE();
    if (NT_SUCCESS(SeQueryInformationToken(Token, TokenElevation, (PVOID *)&Elevation))) {
        Elevated = Elevation->TokenIsElevated != 0;
        ExFreePool(Elevation);
    }
    return Elevated;
}

static BOOLEAN
IsLedger(_In_ PCUNICODE_STRING Name)
{
    UNICODE_STRING Suffix = RTL_CONSTANT_STRING(L".ledger");

    return RtlSuffixUnicodeString(&Suffix, Name, TRUE);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
AuditPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PACCESS_STATE State = Data->Iopb->Parameters.Create.SecurityContext->AccessState;
    PSECURITY_SUBJECT_CONTEXT Subject = &State->SubjectSecurityContext;
    ACCESS_MASK Access = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;
    FLT_PREOP_CALLBACK_STATUS Answer = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PACCESS_TOKEN Token;
    UNICODE_STRING User;
    ULONG Session = 0;

    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (Data->RequestorMode == KernelMode || !IsLedger(&FltObjects->FileObject->FileName) ||
        !FlagOn(Access, FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    SeLockSubjectContext(Subject);
    Token = SeQuerySubjectContextToken(Subject);
    if (NT_SUCCESS(UserOf(Token, &User))) {
        SeQuerySessionIdToken(Token, &Session);
        DbgPrint("auditor: %wZ session %u%s%s%s access %08x process %u\n", &User, Session,
                 Subject->ClientToken != NULL ? " impersonating" : "", SeTokenIsAdmin(Token) ? " admin" : "",
                 IsElevated(Token) ? " elevated" : "", Access, FltGetRequestorProcessId(Data));
        RtlFreeUnicodeString(&User);
    }
    if (SeTokenIsRestricted(Token)) {
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
        Answer = FLT_PREOP_COMPLETE;
    }
    SeUnlockSubjectContext(Subject);
    return Answer;
}

NTSTATUS FLTAPI
AuditUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(AuditFilter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, AuditPreCreate, NULL},
                                                        {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, AuditUnload};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &AuditFilter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(AuditFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(AuditFilter);
        }
    }
    return Status;
}
