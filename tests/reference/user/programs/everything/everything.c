/*
 * everything.c: says what does not work of what services of drivers use.
 */

#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        if (!(Condition)) {                                                                                            \
            printf("line %d: not %s (error %lu)\n", __LINE__, #Condition, GetLastError());                             \
        }                                                                                                              \
    } while (0)

static HANDLE Stop;
static CRITICAL_SECTION Section;
static volatile LONG Count;
static DWORD Slot;

static BOOL WINAPI
Control(DWORD Kind)
{
    printf("told to end: %lu\n", Kind);
    return SetEvent(Stop);
}

static void
AtExit(void)
{
    printf("at exit\n");
}

static DWORD WINAPI
Thread(LPVOID Semaphore)
{
    int Index;

    TlsSetValue(Slot, (PVOID)1);
    for (Index = 0; Index < 50; Index++) {
        EnterCriticalSection(&Section);
        Count++;
        LeaveCriticalSection(&Section);
    }
    ReleaseSemaphore(Semaphore, 1, NULL);
    return (DWORD)(ULONG_PTR)TlsGetValue(Slot);
}

static void
Synchronization(void)
{
    HANDLE Semaphore = CreateSemaphoreW(NULL, 0, 2, NULL);
    HANDLE Mutex = CreateMutexW(NULL, TRUE, L"Global\\fltlab-everything");
    HANDLE Threads[2];
    DWORD Id;

    CHECK(GetLastError() == 0);
    CHECK(CreateMutexA(NULL, FALSE, "fltlab-everything") != NULL && GetLastError() == ERROR_ALREADY_EXISTS);
    CHECK(ReleaseMutex(Mutex) && !ReleaseMutex(Mutex) && GetLastError() == ERROR_NOT_OWNER);
    Slot = TlsAlloc();
    InitializeCriticalSection(&Section);
    Threads[0] = CreateThread(NULL, 0, Thread, Semaphore, 0, &Id);
    Threads[1] = CreateThread(NULL, 0, Thread, Semaphore, 0, &Id);
    CHECK(WaitForMultipleObjects(2, Threads, TRUE, 5000) == WAIT_OBJECT_0);
    CHECK(Count == 100);
    CHECK(TlsGetValue(Slot) == NULL);
    CHECK(WaitForSingleObject(Semaphore, 0) == WAIT_OBJECT_0 && WaitForSingleObject(Semaphore, 0) == WAIT_OBJECT_0);
    CHECK(WaitForSingleObject(Semaphore, 10) == WAIT_TIMEOUT);
    CHECK(!ReleaseSemaphore(Semaphore, 3, NULL) && GetLastError() == ERROR_TOO_MANY_POSTS);
}

static void
Completion(void)
{
    HANDLE Port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    HANDLE File = CreateFileA("V:\\port.dat", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                              FILE_FLAG_OVERLAPPED | FILE_FLAG_NO_BUFFERING, NULL);
    OVERLAPPED Overlapped = {0};
    OVERLAPPED *Done = NULL;
    PVOID Page = VirtualAlloc(NULL, 4096, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    ULONG_PTR Key = 0;
    DWORD Bytes = 0;

    CHECK(CreateIoCompletionPort(File, Port, 77, 0) == Port);
    CHECK(WriteFile(File, Page, 4096, NULL, &Overlapped) || GetLastError() == ERROR_IO_PENDING);
    CHECK(GetQueuedCompletionStatus(Port, &Bytes, &Key, &Done, 5000));
    CHECK(Done == &Overlapped && Key == 77 && Bytes == 4096);
    CHECK(PostQueuedCompletionStatus(Port, 5, 6, &Overlapped));
    CHECK(GetQueuedCompletionStatus(Port, &Bytes, &Key, &Done, 0) && Bytes == 5 && Key == 6);
    CHECK(!GetQueuedCompletionStatus(Port, &Bytes, &Key, &Done, 10) && GetLastError() == WAIT_TIMEOUT && Done == NULL);
    CloseHandle(File);
}

static void
Files(void)
{
    char Text[32] = "";
    FILE *Stream = fopen("V:\\text.txt", "w");
    HANDLE File;
    LARGE_INTEGER Size;

    CHECK(Stream != NULL);
    fprintf(Stream, "%s %d %#x\n", "line", -5, 255);
    fclose(Stream);
    Stream = fopen("V:\\text.txt", "r");
    CHECK(fgets(Text, sizeof(Text), Stream) != NULL && strcmp(Text, "line -5 0xff\n") == 0);
    fclose(Stream);
    File = CreateFileW(L"V:\\text.txt", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(GetFileSizeEx(File, &Size) && Size.QuadPart == 13);
    CHECK(SetFilePointer(File, -5, NULL, FILE_END) == 8);
    CloseHandle(File);
    CHECK(GetFileAttributesW(L"V:\\text.txt") != INVALID_FILE_ATTRIBUTES);
    CHECK(DeleteFileW(L"V:\\text.txt") && !DeleteFileW(L"V:\\text.txt") && GetLastError() == ERROR_FILE_NOT_FOUND);
    CHECK(CreateFileA("nowhere", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL) == INVALID_HANDLE_VALUE);
    CHECK(fopen("V:\\none\\none", "r") == NULL);
}

static void
Times(void)
{
    FILETIME Time = {0xD53E8000, 0x019DB1DE}; /* 1970-01-01 */
    FILETIME Local, Back;
    SYSTEMTIME Fields = {0};

    CHECK(FileTimeToLocalFileTime(&Time, &Local) && CompareFileTime(&Time, &Local) == 0);
    CHECK(FileTimeToSystemTime(&Local, &Fields) && Fields.wYear == 1970 && Fields.wMonth == 1 && Fields.wDay == 1);
    CHECK(Fields.wDayOfWeek == 4 && Fields.wHour == 0 && Fields.wMilliseconds == 0);
    CHECK(SystemTimeToFileTime(&Fields, &Back) && CompareFileTime(&Time, &Back) == 0);
    Fields.wMonth = 13;
    CHECK(!SystemTimeToFileTime(&Fields, &Back) && GetLastError() == ERROR_INVALID_PARAMETER);
    GetLocalTime(&Fields);
    CHECK(Fields.wYear > 2000);
}

static void
Printing(void)
{
    char Text[8];
    WCHAR Wide[MAX_PATH];
    FILE *Stream = NULL;

    CHECK(sprintf_s(Text, sizeof(Text), "%02d:%s", 5, "abcd") == 7 && strcmp(Text, "05:abcd") == 0);
    CHECK(sprintf_s(Text, sizeof(Text), "%d", 12345678) == -1 && Text[0] == 0);
    CHECK(_snprintf_s(Text, sizeof(Text), _TRUNCATE, "%s", "123456789") == -1 && strcmp(Text, "1234567") == 0);
    CHECK(_snprintf_s(Text, sizeof(Text), 3, "%s", "ab") == 2 && strcmp(Text, "ab") == 0);
    CHECK(_snprintf_s(Text, 0, _TRUNCATE, "%s", "x") == -1 && strcmp(Text, "ab") == 0);
    CHECK(swprintf_s(Wide, 4, L"%d", 123) == 3 && swprintf_s(Wide, 4, L"%d", 1234) == -1 && Wide[0] == 0);
    CHECK(GetSystemDirectoryW(Wide, MAX_PATH) == 19 && _wcsicmp(Wide, L"C:\\Windows\\System32") == 0);
    CHECK(GetWindowsDirectoryW(Wide, 4) == 11 && GetWindowsDirectoryA(Text, 4) == 11);
    CHECK(fopen_s(&Stream, "V:\\none\\none", "r") != 0 && Stream == NULL);
    CHECK(_wfopen_s(&Stream, L"V:\\safe.txt", L"w") == 0 && fclose(Stream) == 0 && DeleteFileA("V:\\safe.txt"));
}

static void
Registry(void)
{
    static const WCHAR Path[] = L"SOFTWARE\\fltlab\\everything";
    DWORD Value = 7, Size = sizeof(Value), Kind = 0;
    HKEY Key;

    CHECK(RegCreateKeyExW(HKEY_LOCAL_MACHINE, Path, 0, NULL, 0, KEY_ALL_ACCESS, NULL, &Key, NULL) == 0);
    CHECK(RegSetValueExW(Key, L"Seven", 0, REG_DWORD, (const BYTE *)&Value, sizeof(Value)) == 0);
    RegCloseKey(Key);
    Value = 0;
    CHECK(RegGetValueW(HKEY_LOCAL_MACHINE, Path, L"Seven", RRF_RT_DWORD, &Kind, &Value, &Size) == 0);
    CHECK(Value == 7 && Kind == REG_DWORD && Size == 4);
    CHECK(RegOpenKeyExW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\none", 0, KEY_READ, &Key) == ERROR_FILE_NOT_FOUND);
}

int
main(int Arguments, char **Words)
{
    WCHAR Wide[16];
    char *Block = malloc(100);

    atexit(AtExit);
    CHECK(Arguments == 3 && strcmp(Words[1], "two words") == 0 && strcmp(Words[2], "three") == 0);
    CHECK(MultiByteToWideChar(CP_UTF8, 0, "\xC3\xA4", -1, Wide, 16) == 2 && Wide[0] == 0xE4);
    Block = realloc(Block, 5000);
    memset(Block, 1, 5000);
    free(Block);
    Synchronization();
    Completion();
    Files();
    Times();
    Printing();
    Registry();
    Stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK(SetConsoleCtrlHandler(Control, TRUE));
    printf("all %s\n", "done");
    WaitForSingleObject(Stop, INFINITE);
    return 3;
}
