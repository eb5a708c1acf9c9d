/*
 * clock.c: times as fields, and back. The time zone of a reference guest is UTC.
 */

#include "userland.h"

NTSYSAPI VOID NTAPI RtlTimeToTimeFields(PLARGE_INTEGER Time, SHORT *Fields);
NTSYSAPI BOOLEAN NTAPI RtlTimeFieldsToTime(SHORT *Fields, PLARGE_INTEGER Time);

/* TIME_FIELDS has the day of the week last, SYSTEMTIME after the month. */
EXPORT BOOL WINAPI
FileTimeToSystemTime(const FILETIME *From, LPSYSTEMTIME To)
{
    LARGE_INTEGER Time = {.LowPart = From->dwLowDateTime, .HighPart = (LONG)From->dwHighDateTime};
    SHORT Fields[8];

    if (Time.QuadPart < 0) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return FALSE;
    }
    RtlTimeToTimeFields(&Time, Fields);
    To->wYear = (WORD)Fields[0];
    To->wMonth = (WORD)Fields[1];
    To->wDay = (WORD)Fields[2];
    To->wHour = (WORD)Fields[3];
    To->wMinute = (WORD)Fields[4];
    To->wSecond = (WORD)Fields[5];
    To->wMilliseconds = (WORD)Fields[6];
    To->wDayOfWeek = (WORD)Fields[7];
    return TRUE;
}

EXPORT BOOL WINAPI
SystemTimeToFileTime(const SYSTEMTIME *From, LPFILETIME To)
{
    SHORT Fields[8] = {(SHORT)From->wYear,   (SHORT)From->wMonth,  (SHORT)From->wDay,          (SHORT)From->wHour,
                       (SHORT)From->wMinute, (SHORT)From->wSecond, (SHORT)From->wMilliseconds, 0};
    LARGE_INTEGER Time;

    if (!RtlTimeFieldsToTime(Fields, &Time)) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return FALSE;
    }
    To->dwLowDateTime = Time.LowPart;
    To->dwHighDateTime = (DWORD)Time.HighPart;
    return TRUE;
}

EXPORT BOOL WINAPI
FileTimeToLocalFileTime(const FILETIME *From, LPFILETIME To)
{
    *To = *From;
    return TRUE;
}

EXPORT BOOL WINAPI
LocalFileTimeToFileTime(const FILETIME *From, LPFILETIME To)
{
    *To = *From;
    return TRUE;
}

EXPORT LONG WINAPI
CompareFileTime(const FILETIME *One, const FILETIME *Other)
{
    ULONGLONG First = (ULONGLONG)One->dwHighDateTime << 32 | One->dwLowDateTime;
    ULONGLONG Second = (ULONGLONG)Other->dwHighDateTime << 32 | Other->dwLowDateTime;

    return First < Second ? -1 : First > Second;
}

EXPORT void WINAPI
GetSystemTime(LPSYSTEMTIME Time)
{
    FILETIME Now;

    GetSystemTimeAsFileTime(&Now);
    FileTimeToSystemTime(&Now, Time);
}

EXPORT void WINAPI
GetLocalTime(LPSYSTEMTIME Time)
{
    GetSystemTime(Time);
}
