/*
 * ucrt.c: what the universal C runtime calls otherwise: the formats' common functions, and its own way in and out.
 */

#include "userland.h"

typedef struct _STREAM STREAM;
typedef void(__cdecl *ROUTINE)(void);

typedef struct _TABLE {
    ROUTINE *First;
    ROUTINE *Last;
    ROUTINE *End;
} TABLE;

int vfprintf(STREAM *Stream, const char *Format, va_list Arguments);
int vfwprintf(STREAM *Stream, const WCHAR *Format, va_list Arguments);
int atexit(ROUTINE Routine);
void exit(int Code);

EXPORT int
__stdio_common_vfprintf(ULONGLONG Options, STREAM *Stream, const char *Format, void *Locale, va_list Arguments)
{
    (void)Options;
    (void)Locale;
    return vfprintf(Stream, Format, Arguments);
}

EXPORT int
__stdio_common_vfwprintf(ULONGLONG Options, STREAM *Stream, const WCHAR *Format, void *Locale, va_list Arguments)
{
    (void)Options;
    (void)Locale;
    return vfwprintf(Stream, Format, Arguments);
}

EXPORT int
__stdio_common_vsprintf(ULONGLONG Options, char *To, size_t Count, const char *Format, void *Locale, va_list Arguments)
{
    int Length = _vsnprintf(To, Count, Format, Arguments);

    (void)Options;
    (void)Locale;
    if (Count > 0 && (Length < 0 || (size_t)Length >= Count)) {
        To[Count - 1] = '\0';
    }
    return Length;
}

EXPORT int
__stdio_common_vswprintf(ULONGLONG Options, WCHAR *To, size_t Count, const WCHAR *Format, void *Locale,
                         va_list Arguments)
{
    int Length = _vsnwprintf(To, Count, Format, Arguments);

    (void)Options;
    (void)Locale;
    if (Count > 0 && (Length < 0 || (size_t)Length >= Count)) {
        To[Count - 1] = 0;
    }
    return Length;
}

EXPORT int
__stdio_common_vsprintf_s(ULONGLONG Options, char *To, size_t Count, const char *Format, void *Locale,
                          va_list Arguments)
{
    return __stdio_common_vsprintf(Options, To, Count, Format, Locale, Arguments);
}

EXPORT int
__stdio_common_vswprintf_s(ULONGLONG Options, WCHAR *To, size_t Count, const WCHAR *Format, void *Locale,
                           va_list Arguments)
{
    return __stdio_common_vswprintf(Options, To, Count, Format, Locale, Arguments);
}

EXPORT int
_configure_narrow_argv(int Mode)
{
    int Count;
    char **Narrow;
    WCHAR **Wide;

    (void)Mode;
    SplitArguments(&Count, &Narrow, &Wide);
    return 0;
}

EXPORT int
_configure_wide_argv(int Mode)
{
    return _configure_narrow_argv(Mode);
}

EXPORT int
_initialize_narrow_environment(void)
{
    return 0;
}

EXPORT int
_initialize_wide_environment(void)
{
    return 0;
}

EXPORT char **
_get_initial_narrow_environment(void)
{
    static char *Empty[1];

    return Empty;
}

EXPORT WCHAR **
_get_initial_wide_environment(void)
{
    static WCHAR *Empty[1];

    return Empty;
}

EXPORT int *
__p___argc(void)
{
    static int Count;
    char **Narrow;
    WCHAR **Wide;

    SplitArguments(&Count, &Narrow, &Wide);
    return &Count;
}

EXPORT char ***
__p___argv(void)
{
    static char **Narrow;
    int Count;
    WCHAR **Wide;

    SplitArguments(&Count, &Narrow, &Wide);
    return &Narrow;
}

EXPORT WCHAR ***
__p___wargv(void)
{
    static WCHAR **Wide;
    int Count;
    char **Narrow;

    SplitArguments(&Count, &Narrow, &Wide);
    return &Wide;
}

EXPORT int
_initialize_onexit_table(TABLE *Table)
{
    memset(Table, 0, sizeof(*Table));
    return 0;
}

EXPORT int
_register_onexit_function(TABLE *Table, ROUTINE Routine)
{
    (void)Table;
    return atexit(Routine);
}

EXPORT int
_execute_onexit_table(TABLE *Table)
{
    (void)Table;
    return 0;
}

EXPORT int
_crt_atexit(ROUTINE Routine)
{
    return atexit(Routine);
}

EXPORT void
_register_thread_local_exe_atexit_callback(void *Callback)
{
    (void)Callback;
}

EXPORT void
_set_app_type(int Type)
{
    (void)Type;
}

EXPORT int
_set_fmode(int Mode)
{
    (void)Mode;
    return 0;
}

EXPORT int
_set_new_mode(int Mode)
{
    (void)Mode;
    return 0;
}

EXPORT int
_configthreadlocale(int Mode)
{
    (void)Mode;
    return 0;
}

EXPORT int
_seh_filter_exe(unsigned long Code, void *Pointers)
{
    (void)Code;
    (void)Pointers;
    return EXCEPTION_CONTINUE_SEARCH;
}

EXPORT _invalid_parameter_handler
_set_invalid_parameter_handler(_invalid_parameter_handler Handler)
{
    (void)Handler;
    return NULL;
}

EXPORT void
_invalid_parameter_noinfo_noreturn(void)
{
    exit(3);
}
