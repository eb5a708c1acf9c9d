/*
 * wdmsec.c: IoCreateDeviceSecure, which on Windows comes with the driver from wdmsec.lib.
 *
 * Of SDDL there is what descriptors of devices are written in: the DACL, with allowed and denied entries. Linked into
 * drivers of users; left out of those that do not call it.
 */

#include <fltkernel.h>
#include <wdmsec.h>

#define ACL_ROOM 1024

const UNICODE_STRING SDDL_DEVOBJ_KERNEL_ONLY = RTL_CONSTANT_STRING(L"D:P");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_ALL = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_RX = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGX;;;BA)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_R =
    RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GR;;;WD)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_R_RES_R =
    RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GR;;;WD)(A;;GR;;;RC)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RW_RES_R =
    RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGW;;;WD)(A;;GR;;;RC)");
const UNICODE_STRING SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RWX_RES_RWX =
    RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGWGX;;;WD)(A;;GRGWGX;;;RC)");

typedef struct _TEXT {
    PCWCH At;
    PCWCH End;
} TEXT;

typedef struct _WORD_OF_TWO {
    WCHAR Letters[3];
    ULONG Value;
    UCHAR Authority;
    UCHAR Count;
    ULONG Parts[2];
} WORD_OF_TWO;

static const WORD_OF_TWO Rights[] = {
    {L"GA", GENERIC_ALL, 0, 0, {0}},
    {L"GR", GENERIC_READ, 0, 0, {0}},
    {L"GW", GENERIC_WRITE, 0, 0, {0}},
    {L"GX", GENERIC_EXECUTE, 0, 0, {0}},
    {L"FA", FILE_ALL_ACCESS, 0, 0, {0}},
    {L"FR", FILE_GENERIC_READ, 0, 0, {0}},
    {L"FW", FILE_GENERIC_WRITE, 0, 0, {0}},
    {L"FX", FILE_GENERIC_EXECUTE, 0, 0, {0}},
    {L"RC", READ_CONTROL, 0, 0, {0}},
    {L"SD", DELETE, 0, 0, {0}},
    {L"WD", WRITE_DAC, 0, 0, {0}},
    {L"WO", WRITE_OWNER, 0, 0, {0}},
    {L"CC", 0x001, 0, 0, {0}},
    {L"DC", 0x002, 0, 0, {0}},
    {L"LC", 0x004, 0, 0, {0}},
    {L"SW", 0x008, 0, 0, {0}},
    {L"RP", 0x010, 0, 0, {0}},
    {L"WP", 0x020, 0, 0, {0}},
    {L"DT", 0x040, 0, 0, {0}},
    {L"LO", 0x080, 0, 0, {0}},
    {L"CR", 0x100, 0, 0, {0}},
};

static const WORD_OF_TWO Accounts[] = {
    {L"SY", 0, 5, 1, {18}},      {L"BA", 0, 5, 2, {32, 544}}, {L"BU", 0, 5, 2, {32, 545}}, {L"BG", 0, 5, 2, {32, 546}},
    {L"PU", 0, 5, 2, {32, 547}}, {L"WD", 0, 1, 1, {0}},       {L"AU", 0, 5, 1, {11}},      {L"AN", 0, 5, 1, {7}},
    {L"LS", 0, 5, 1, {19}},      {L"NS", 0, 5, 1, {20}},      {L"IU", 0, 5, 1, {4}},       {L"NU", 0, 5, 1, {2}},
    {L"SU", 0, 5, 1, {6}},       {L"RC", 0, 5, 1, {12}},      {L"CO", 0, 3, 1, {0}},       {L"OW", 0, 3, 1, {4}},
    {L"AC", 0, 15, 2, {2, 1}},
};

static BOOLEAN
Take(TEXT *Text, WCHAR Letter)
{
    if (Text->At == Text->End || *Text->At != Letter) {
        return FALSE;
    }
    Text->At++;
    return TRUE;
}

static const WORD_OF_TWO *
TakeWord(TEXT *Text, const WORD_OF_TWO *Words, ULONG Count)
{
    ULONG Index;

    for (Index = 0; Index < Count && Text->End - Text->At >= 2; Index++) {
        if (Text->At[0] == Words[Index].Letters[0] && Text->At[1] == Words[Index].Letters[1]) {
            Text->At += 2;
            return &Words[Index];
        }
    }
    return NULL;
}

static BOOLEAN
TakeNumber(TEXT *Text, ULONG *Number)
{
    ULONG Base = 10;
    PCWCH Begin;

    if (Text->End - Text->At > 2 && Text->At[0] == L'0' && Text->At[1] == L'x') {
        Text->At += 2;
        Base = 16;
    }
    *Number = 0;
    for (Begin = Text->At; Text->At < Text->End; Text->At++) {
        WCHAR Letter = *Text->At | 0x20;

        if (*Text->At >= L'0' && *Text->At <= L'9') {
            *Number = *Number * Base + (*Text->At - L'0');
        } else if (Base == 16 && Letter >= L'a' && Letter <= L'f') {
            *Number = *Number * Base + (Letter - L'a' + 10);
        } else {
            break;
        }
    }
    return Text->At > Begin;
}

/* Two-letter words in a row, or a number. */
static BOOLEAN
TakeRights(TEXT *Text, ACCESS_MASK *Mask)
{
    const WORD_OF_TWO *Word;

    *Mask = 0;
    if (Text->At < Text->End && *Text->At == L'0') {
        return TakeNumber(Text, Mask);
    }
    while ((Word = TakeWord(Text, Rights, ARRAYSIZE(Rights))) != NULL) {
        *Mask |= Word->Value;
    }
    return TRUE;
}

/* SY and its like, or S-1-5-... */
static BOOLEAN
TakeSid(TEXT *Text, PSID Sid)
{
    SID_IDENTIFIER_AUTHORITY Authority = {{0}};
    const WORD_OF_TWO *Word = TakeWord(Text, Accounts, ARRAYSIZE(Accounts));
    ULONG Number, Parts[15];
    ULONG Count = 0, Index;

    if (Word != NULL) {
        Authority.Value[5] = Word->Authority;
        Count = Word->Count;
        RtlCopyMemory(Parts, Word->Parts, Count * sizeof(ULONG));
    } else {
        if (!Take(Text, L'S') || !Take(Text, L'-') || !TakeNumber(Text, &Number) || Number != 1 || !Take(Text, L'-') ||
            !TakeNumber(Text, &Number)) {
            return FALSE;
        }
        Authority.Value[4] = (UCHAR)(Number >> 8);
        Authority.Value[5] = (UCHAR)Number;
        while (Count < ARRAYSIZE(Parts) && Take(Text, L'-')) {
            if (!TakeNumber(Text, &Parts[Count++])) {
                return FALSE;
            }
        }
    }
    if (!NT_SUCCESS(RtlInitializeSid(Sid, &Authority, (UCHAR)Count))) {
        return FALSE;
    }
    for (Index = 0; Index < Count; Index++) {
        *RtlSubAuthoritySid(Sid, Index) = Parts[Index];
    }
    return TRUE;
}

static PACE_HEADER
LastEntry(PACL Acl)
{
    PACE_HEADER Entry = (PACE_HEADER)(Acl + 1);
    USHORT Index;

    for (Index = 1; Index < Acl->AceCount; Index++) {
        Entry = (PACE_HEADER)((PUCHAR)Entry + Entry->AceSize);
    }
    return Entry;
}

/* (A;flags;rights;;;SID) */
static NTSTATUS
TakeEntry(TEXT *Text, PACL Acl)
{
    UCHAR Sid[8 + 15 * sizeof(ULONG)];
    BOOLEAN Denied = Take(Text, L'D');
    ACCESS_MASK Mask;
    NTSTATUS Status;

    if ((!Denied && !Take(Text, L'A')) || !Take(Text, L';')) {
        return STATUS_INVALID_PARAMETER;
    }
    while (Text->At < Text->End && *Text->At != L';') {
        Text->At++; /* what is inherited does not matter on a device */
    }
    if (!Take(Text, L';') || !TakeRights(Text, &Mask) || !Take(Text, L';') || !Take(Text, L';') || !Take(Text, L';') ||
        !TakeSid(Text, Sid) || !Take(Text, L')')) {
        return STATUS_INVALID_PARAMETER;
    }
    Status = RtlAddAccessAllowedAce(Acl, ACL_REVISION, Mask, Sid);
    if (NT_SUCCESS(Status) && Denied) {
        LastEntry(Acl)->AceType = ACCESS_DENIED_ACE_TYPE; /* the kernel exports no RtlAddAccessDeniedAce */
    }
    return Status;
}

static NTSTATUS
ReadDacl(PCUNICODE_STRING Sddl, PACL Acl)
{
    TEXT Text = {Sddl->Buffer, Sddl->Buffer + Sddl->Length / sizeof(WCHAR)};
    NTSTATUS Status = RtlCreateAcl(Acl, ACL_ROOM, ACL_REVISION);

    while (NT_SUCCESS(Status) && Text.End - Text.At >= 2 && !(Text.At[0] == L'D' && Text.At[1] == L':')) {
        Text.At++; /* owner and group */
    }
    if (!Take(&Text, L'D') || !Take(&Text, L':')) {
        return STATUS_INVALID_PARAMETER;
    }
    while (Text.At < Text.End && *Text.At != L'(') {
        Text.At++; /* P, AI, AR */
    }
    while (NT_SUCCESS(Status) && Take(&Text, L'(')) {
        Status = TakeEntry(&Text, Acl);
    }
    return Status;
}

static NTSTATUS
SetDacl(PDEVICE_OBJECT Device, PACL Acl)
{
    SECURITY_DESCRIPTOR Descriptor;
    HANDLE Handle;
    NTSTATUS Status;

    Status = RtlCreateSecurityDescriptor(&Descriptor, SECURITY_DESCRIPTOR_REVISION);
    if (NT_SUCCESS(Status)) {
        Status = RtlSetDaclSecurityDescriptor(&Descriptor, TRUE, Acl, FALSE);
    }
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status =
        ObOpenObjectByPointer(Device, OBJ_KERNEL_HANDLE, NULL, WRITE_DAC, *IoDeviceObjectType, KernelMode, &Handle);
    if (NT_SUCCESS(Status)) {
        Status = ZwSetSecurityObject(Handle, DACL_SECURITY_INFORMATION, &Descriptor);
        ZwClose(Handle);
    }
    return Status;
}

NTSTATUS
WdmlibIoCreateDeviceSecure(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, PUNICODE_STRING DeviceName,
                           DEVICE_TYPE DeviceType, ULONG DeviceCharacteristics, BOOLEAN Exclusive,
                           PCUNICODE_STRING DefaultSDDLString, LPCGUID DeviceClassGuid, PDEVICE_OBJECT *DeviceObject)
{
    PACL Acl = ExAllocatePoolWithTag(PagedPool, ACL_ROOM, 'cesW');
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(DeviceClassGuid); /* where an administrator may have left another descriptor */
    if (Acl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = ReadDacl(DefaultSDDLString, Acl);
    if (NT_SUCCESS(Status)) {
        Status = IoCreateDevice(DriverObject, DeviceExtensionSize, DeviceName, DeviceType, DeviceCharacteristics,
                                Exclusive, DeviceObject);
    }
    if (NT_SUCCESS(Status)) {
        Status = SetDacl(*DeviceObject, Acl);
        if (!NT_SUCCESS(Status)) {
            IoDeleteDevice(*DeviceObject);
            *DeviceObject = NULL;
        }
    }
    ExFreePoolWithTag(Acl, 'cesW');
    return Status;
}
