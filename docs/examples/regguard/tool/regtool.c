/* regtool <service>: tries what regguard allows and what it does not, and prints what came of it. */

#include <windows.h>
#include <stdio.h>

static void
Try(const char *What, LSTATUS Status)
{
    printf("%s: %ld\n", What, Status);
}

int
main(int argc, char **argv)
{
    WCHAR Path[200] = L"SYSTEM\\CurrentControlSet\\Services\\";
    DWORD Value = 2, Size = sizeof(Value);
    HKEY Key;

    if (argc != 2 || MultiByteToWideChar(CP_ACP, 0, argv[1], -1, Path + lstrlenW(Path), 80) == 0) {
        return 2;
    }
    memcpy(Path + lstrlenW(Path), L"\\Parameters", sizeof(L"\\Parameters"));
    Try("open", RegOpenKeyExW(HKEY_LOCAL_MACHINE, Path, 0, KEY_ALL_ACCESS, &Key));
    Try("set Level 2", RegSetValueExW(Key, L"Level", 0, REG_DWORD, (BYTE *)&Value, sizeof(Value)));
    Value = 9;
    Try("set Level 9", RegSetValueExW(Key, L"Level", 0, REG_DWORD, (BYTE *)&Value, sizeof(Value)));
    Try("set Locked", RegSetValueExW(Key, L"Locked", 0, REG_DWORD, (BYTE *)&Value, sizeof(Value)));
    Try("delete Locked", RegDeleteValueW(Key, L"Locked"));
    RegQueryValueExW(Key, L"Level", NULL, NULL, (BYTE *)&Value, &Size);
    printf("Level is %lu\ndone\n", Value);
    fflush(stdout);
    RegCloseKey(Key);
    return 0;
}
