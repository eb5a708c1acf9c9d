/*
 * registry.c: the keys of the registry, the same that the drivers see.
 */

#include "userland.h"

#define PARTIAL_INFORMATION 2
#define CREATED_NEW_KEY 1

typedef struct _PARTIAL {
    ULONG TitleIndex;
    ULONG Type;
    ULONG Length;
    UCHAR Data[1];
} PARTIAL;

static BOOL
Key(HKEY Root, LPCWSTR Path, POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, WCHAR *Room)
{
    static const WCHAR Machine[] = L"\\REGISTRY\\MACHINE";
    ULONG At = 0;

    InitializeObjectAttributes(Attributes, Name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (Root == HKEY_LOCAL_MACHINE) {
        memcpy(Room, Machine, sizeof(Machine));
        At = ARRAYSIZE(Machine) - 1;
        if (Path != NULL && *Path != 0) {
            Room[At++] = L'\\';
        }
    } else if ((LONG_PTR)Root < 0) {
        return FALSE; /* the guest has no other root */
    } else {
        Attributes->RootDirectory = Root;
    }
    while (Path != NULL && *Path != 0 && At < MOST_PATH - 1) {
        Room[At++] = *Path++;
    }
    Room[At] = 0;
    RtlInitUnicodeString(Name, Room);
    return TRUE;
}

EXPORT LSTATUS WINAPI
RegOpenKeyExW(HKEY Root, LPCWSTR Path, DWORD Options, REGSAM Access, PHKEY Result)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;

    (void)Options;
    if (!Key(Root, Path, &Attributes, &Name, Room)) {
        return ERROR_FILE_NOT_FOUND;
    }
    return (LSTATUS)ErrorOf(NtOpenKey((PHANDLE)Result, Access, &Attributes));
}

EXPORT LSTATUS WINAPI
RegOpenKeyExA(HKEY Root, LPCSTR Path, DWORD Options, REGSAM Access, PHKEY Result)
{
    WCHAR *Wide = WideCopy(Path);
    LSTATUS Status = RegOpenKeyExW(Root, Wide, Options, Access, Result);

    Release(Wide);
    return Status;
}

EXPORT LSTATUS WINAPI
RegCreateKeyExW(HKEY Root, LPCWSTR Path, DWORD Reserved, LPWSTR Class, DWORD Options, REGSAM Access,
                const LPSECURITY_ATTRIBUTES Security, PHKEY Result, LPDWORD Disposition)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;
    ULONG Made = CREATED_NEW_KEY;
    NTSTATUS Status;

    (void)Reserved;
    (void)Class;
    (void)Security;
    if (!Key(Root, Path, &Attributes, &Name, Room)) {
        return ERROR_FILE_NOT_FOUND;
    }
    Status = NtCreateKey((PHANDLE)Result, Access, &Attributes, 0, NULL, Options, &Made);
    if (Disposition != NULL) {
        *Disposition = Made;
    }
    return (LSTATUS)ErrorOf(Status);
}

EXPORT LSTATUS WINAPI
RegQueryValueExW(HKEY Handle, LPCWSTR Value, LPDWORD Reserved, LPDWORD Type, LPBYTE Data, LPDWORD Size)
{
    UNICODE_STRING Name;
    ULONG Room = (ULONG)sizeof(PARTIAL) + (Size != NULL ? *Size : 0);
    PARTIAL *Information = Allocate(Room);
    ULONG Needed = 0;
    NTSTATUS Status;
    LSTATUS Result;

    (void)Reserved;
    RtlInitUnicodeString(&Name, Value != NULL ? Value : L"");
    Status = NtQueryValueKey(Handle, &Name, PARTIAL_INFORMATION, Information, Room, &Needed);
    Result = Status == STATUS_BUFFER_OVERFLOW ? ERROR_SUCCESS : (LSTATUS)ErrorOf(Status);
    if (Result == ERROR_SUCCESS) {
        if (Type != NULL) {
            *Type = Information->Type;
        }
        if (Data != NULL && (Size == NULL || Information->Length > *Size)) {
            Result = ERROR_MORE_DATA;
        } else if (Data != NULL) {
            memcpy(Data, Information->Data, Information->Length);
        }
        if (Size != NULL) {
            *Size = Information->Length;
        }
    }
    Release(Information);
    return Result;
}

EXPORT LSTATUS WINAPI
RegGetValueW(HKEY Root, LPCWSTR Path, LPCWSTR Value, DWORD Flags, LPDWORD Type, PVOID Data, LPDWORD Size)
{
    HKEY Handle = Root;
    LSTATUS Status = ERROR_SUCCESS;

    (void)Flags;
    if (Path != NULL && *Path != 0) {
        Status = RegOpenKeyExW(Root, Path, 0, KEY_READ, &Handle);
    }
    if (Status == ERROR_SUCCESS) {
        Status = RegQueryValueExW(Handle, Value, NULL, Type, Data, Size);
        if (Handle != Root) {
            NtClose(Handle);
        }
    }
    return Status;
}

EXPORT LSTATUS WINAPI
RegSetValueExW(HKEY Handle, LPCWSTR Value, DWORD Reserved, DWORD Type, const BYTE *Data, DWORD Size)
{
    UNICODE_STRING Name;

    (void)Reserved;
    RtlInitUnicodeString(&Name, Value != NULL ? Value : L"");
    return (LSTATUS)ErrorOf(NtSetValueKey(Handle, &Name, 0, Type, (PVOID)(ULONG_PTR)Data, Size));
}

EXPORT LSTATUS WINAPI
RegDeleteValueW(HKEY Handle, LPCWSTR Value)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Value);
    return (LSTATUS)ErrorOf(NtDeleteValueKey(Handle, &Name));
}

EXPORT LSTATUS WINAPI
RegCloseKey(HKEY Handle)
{
    return (LSTATUS)ErrorOf(NtClose(Handle));
}
