/*
 * path.c: text of both widths, and names as the kernel takes them.
 */

#include "userland.h"

static int
Decode(const UCHAR **Text, const UCHAR *End)
{
    const UCHAR *Byte = *Text;
    int More = *Byte < 0x80 ? 0 : *Byte < 0xE0 ? 1 : *Byte < 0xF0 ? 2 : 3;
    int Code = More == 0 ? *Byte : *Byte & (0x3F >> More);

    for (Byte++; More > 0 && Byte < End && (*Byte & 0xC0) == 0x80; Byte++, More--) {
        Code = Code << 6 | (*Byte & 0x3F);
    }
    *Text = Byte;
    return More > 0 ? 0xFFFD : Code;
}

/* Every code page is UTF-8 here. */
EXPORT int WINAPI
MultiByteToWideChar(UINT Page, DWORD Flags, LPCSTR From, int Length, LPWSTR To, int Room)
{
    const UCHAR *At = (const UCHAR *)From;
    const UCHAR *End = At + (Length < 0 ? strlen(From) + 1 : (size_t)Length);
    int Count = 0;

    (void)Page;
    (void)Flags;
    while (At < End) {
        int Code = Decode(&At, End);
        int Units = Code >= 0x10000 ? 2 : 1;

        if (Room != 0 && Count + Units > Room) {
            SetLastError(ERROR_INSUFFICIENT_BUFFER);
            return 0;
        }
        if (Room != 0 && Units == 1) {
            To[Count] = (WCHAR)Code;
        } else if (Room != 0) {
            To[Count] = (WCHAR)(0xD800 + ((Code - 0x10000) >> 10));
            To[Count + 1] = (WCHAR)(0xDC00 + ((Code - 0x10000) & 0x3FF));
        }
        Count += Units;
    }
    return Count;
}

EXPORT int WINAPI
WideCharToMultiByte(UINT Page, DWORD Flags, LPCWCH From, int Length, LPSTR To, int Room, LPCCH Default, LPBOOL Used)
{
    const WCHAR *At = From;
    const WCHAR *End = From + (Length < 0 ? wcslen(From) + 1 : (size_t)Length);
    int Count = 0;

    (void)Page;
    (void)Flags;
    (void)Default;
    if (Used != NULL) {
        *Used = FALSE;
    }
    while (At < End) {
        UINT Code = *At++;
        int More;

        if (Code >= 0xD800 && Code < 0xDC00 && At < End) {
            Code = 0x10000 + ((Code - 0xD800) << 10) + (*At++ & 0x3FFu);
        }
        More = Code < 0x80 ? 0 : Code < 0x800 ? 1 : Code < 0x10000 ? 2 : 3;
        if (Room != 0 && Count + More >= Room) {
            SetLastError(ERROR_INSUFFICIENT_BUFFER);
            return 0;
        }
        if (Room != 0) {
            int Shift = 6 * More;

            To[Count] = (char)(More == 0 ? Code : (0xF00u >> More & 0xFF) | Code >> Shift);
            for (Shift -= 6; Shift >= 0; Shift -= 6) {
                To[Count + More - Shift / 6] = (char)(0x80 | (Code >> Shift & 0x3F));
            }
        }
        Count += More + 1;
    }
    return Count;
}

WCHAR *
WideCopy(const char *Text)
{
    int Length = Text != NULL ? MultiByteToWideChar(CP_UTF8, 0, Text, -1, NULL, 0) : 0;
    WCHAR *Copy = Text != NULL ? Allocate((SIZE_T)Length * sizeof(WCHAR)) : NULL;

    if (Copy != NULL) {
        MultiByteToWideChar(CP_UTF8, 0, Text, -1, Copy, Length);
    }
    return Copy;
}

char *
NarrowCopy(const WCHAR *Text)
{
    int Length = WideCharToMultiByte(CP_UTF8, 0, Text, -1, NULL, 0, NULL, NULL);
    char *Copy = Allocate((SIZE_T)Length);

    if (Copy != NULL) {
        WideCharToMultiByte(CP_UTF8, 0, Text, -1, Copy, Length, NULL, NULL);
    }
    return Copy;
}

static ULONG
Append(WCHAR *Room, ULONG At, const WCHAR *Text)
{
    while (*Text != 0 && At < MOST_PATH - 1) {
        Room[At++] = *Text++;
    }
    Room[At] = 0;
    return At;
}

static BOOL
StartsWith(const WCHAR *Text, const WCHAR *Start)
{
    while (*Start != 0 && *Text == *Start) {
        Text++;
        Start++;
    }
    return *Start == 0;
}

/* Events, semaphores and mutexes; no name is no name. Global\ and Local\ are one place here. */
void
NamedObject(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, WCHAR *Room, const WCHAR *Text)
{
    InitializeObjectAttributes(Attributes, NULL, OBJ_CASE_INSENSITIVE | OBJ_OPENIF, NULL, NULL);
    if (Text != NULL) {
        Text += StartsWith(Text, L"Global\\") ? 7 : StartsWith(Text, L"Local\\") ? 6 : 0;
        Append(Room, Append(Room, 0, L"\\BaseNamedObjects\\"), Text);
        RtlInitUnicodeString(Name, Room);
        Attributes->ObjectName = Name;
    }
}

/* A path of Win32 as one of the kernel. FALSE for a relative one: programs here have no directory of their own. */
BOOL
FilePath(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, WCHAR *Room, const WCHAR *Path)
{
    ULONG At = 0;
    ULONG Index;

    if (StartsWith(Path, L"\\\\.\\") || StartsWith(Path, L"\\\\?\\")) {
        if (StartsWith(Path + 4, L"GLOBALROOT\\")) {
            Append(Room, 0, Path + 14);
        } else {
            Append(Room, Append(Room, 0, L"\\??\\"), Path + 4);
        }
    } else if (Path[0] != 0 && Path[1] == L':') {
        Append(Room, Append(Room, 0, L"\\??\\"), Path);
    } else {
        SetLastError(ERROR_BAD_PATHNAME);
        return FALSE;
    }
    for (Index = At; Room[Index] != 0; Index++) {
        Room[Index] = Room[Index] == L'/' ? L'\\' : Room[Index];
    }
    RtlInitUnicodeString(Name, Room);
    InitializeObjectAttributes(Attributes, Name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    return TRUE;
}

EXPORT int WINAPI
lstrlenA(LPCSTR Text)
{
    return Text != NULL ? (int)strlen(Text) : 0;
}

EXPORT int WINAPI
lstrlenW(LPCWSTR Text)
{
    return Text != NULL ? (int)wcslen(Text) : 0;
}

static UINT
Directory(LPWSTR Buffer, UINT Size, const WCHAR *Path)
{
    UINT Length = (UINT)wcslen(Path);

    if (Length >= Size) {
        return Length + 1;
    }
    memcpy(Buffer, Path, (Length + 1) * sizeof(WCHAR));
    return Length;
}

EXPORT UINT WINAPI
GetSystemDirectoryW(LPWSTR Buffer, UINT Size)
{
    return Directory(Buffer, Size, L"C:\\Windows\\System32");
}

EXPORT UINT WINAPI
GetWindowsDirectoryW(LPWSTR Buffer, UINT Size)
{
    return Directory(Buffer, Size, L"C:\\Windows");
}

EXPORT UINT WINAPI
GetSystemWindowsDirectoryW(LPWSTR Buffer, UINT Size)
{
    return GetWindowsDirectoryW(Buffer, Size);
}

static UINT
Narrowed(LPSTR Buffer, UINT Size, const WCHAR *Path)
{
    UINT Index, Length = (UINT)wcslen(Path);

    for (Index = 0; Length < Size && Index <= Length; Index++) {
        Buffer[Index] = (char)Path[Index];
    }
    return Length < Size ? Length : Length + 1;
}

EXPORT UINT WINAPI
GetSystemDirectoryA(LPSTR Buffer, UINT Size)
{
    return Narrowed(Buffer, Size, L"C:\\Windows\\System32");
}

EXPORT UINT WINAPI
GetWindowsDirectoryA(LPSTR Buffer, UINT Size)
{
    return Narrowed(Buffer, Size, L"C:\\Windows");
}
