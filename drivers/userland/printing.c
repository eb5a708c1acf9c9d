/*
 * printing.c: printing into buffers of a told size. What has no room leaves an empty text and gives -1; the C runtime of
 * Windows ends the process there, unless it has a handler.
 */

#include "userland.h"

#define TRUNCATE ((size_t)-1)

EXPORT int
vsprintf_s(char *To, size_t Room, const char *Format, va_list Arguments)
{
    int Length = _vsnprintf(To, Room, Format, Arguments);

    if (Length < 0 || (size_t)Length >= Room) {
        if (Room > 0) {
            To[0] = '\0';
        }
        return -1;
    }
    return Length;
}

EXPORT int
vswprintf_s(WCHAR *To, size_t Room, const WCHAR *Format, va_list Arguments)
{
    int Length = _vsnwprintf(To, Room, Format, Arguments);

    if (Length < 0 || (size_t)Length >= Room) {
        if (Room > 0) {
            To[0] = 0;
        }
        return -1;
    }
    return Length;
}

EXPORT int
_vsnprintf_s(char *To, size_t Room, size_t Count, const char *Format, va_list Arguments)
{
    size_t Most = Count == TRUNCATE || Count >= Room ? Room - 1 : Count;
    int Length;

    if (Room == 0) {
        return -1;
    }
    Length = _vsnprintf(To, Most, Format, Arguments);
    if (Length < 0 && Count != TRUNCATE && Count >= Room) {
        To[0] = '\0';
    } else {
        To[Length < 0 ? Most : (size_t)Length] = '\0';
    }
    return Length;
}

EXPORT int
_vsnwprintf_s(WCHAR *To, size_t Room, size_t Count, const WCHAR *Format, va_list Arguments)
{
    size_t Most = Count == TRUNCATE || Count >= Room ? Room - 1 : Count;
    int Length;

    if (Room == 0) {
        return -1;
    }
    Length = _vsnwprintf(To, Most, Format, Arguments);
    if (Length < 0 && Count != TRUNCATE && Count >= Room) {
        To[0] = 0;
    } else {
        To[Length < 0 ? Most : (size_t)Length] = 0;
    }
    return Length;
}

EXPORT int
sprintf_s(char *To, size_t Room, const char *Format, ...)
{
    FORMATTED(vsprintf_s, To, Room);
}

EXPORT int
swprintf_s(WCHAR *To, size_t Room, const WCHAR *Format, ...)
{
    FORMATTED(vswprintf_s, To, Room);
}

EXPORT int
_snprintf_s(char *To, size_t Room, size_t Count, const char *Format, ...)
{
    FORMATTED(_vsnprintf_s, To, Room, Count);
}

EXPORT int
_snwprintf_s(WCHAR *To, size_t Room, size_t Count, const WCHAR *Format, ...)
{
    FORMATTED(_vsnwprintf_s, To, Room, Count);
}

EXPORT void
_assert(const char *Message, const char *File, unsigned int Line)
{
    printf("Assertion failed: %s, file %s, line %u\n", Message, File, Line);
    abort();
}

EXPORT void
_wassert(const WCHAR *Message, const WCHAR *File, unsigned int Line)
{
    printf("Assertion failed: %ws, file %ws, line %u\n", Message, File, Line);
    abort();
}
