/*
 * program.c: UEFI programs that stand in for what boots on a Windows machine. Built by efi_programs.py, one per ROLE.
 *
 * ROLE_SAY     says TEXT on COM1 and switches the machine off
 * ROLE_PROMPT  asks for a key as Microsoft's efisys.bin does; with one it says TEXT, without one it returns
 * ROLE_PANIC   writes TEXT's first digit to pvpanic's port and keeps running
 * ROLE_INSTALL says TEXT and resets the machine; when it comes again it says SECOND and switches the machine off
 *
 * Offsets of tables: UEFI specification 2.10, sections 4.3, 4.4, 4.5, 12.3 and 12.4 (x64).
 */

typedef unsigned char UINT8;
typedef unsigned short CHAR16;
typedef unsigned long long UINTN;

#define TABLE(Base, Offset) (*(void **)((UINT8 *)(Base) + (Offset)))
#define CON_IN 48
#define CON_OUT 64
#define RUNTIME_SERVICES 88
#define BOOT_SERVICES 96

#define COM1 0x3F8
#define PVPANIC 0x505

typedef UINTN(__attribute__((ms_abi)) * STALL)(UINTN Microseconds);
typedef UINTN(__attribute__((ms_abi)) * READ_KEY)(void *This, void *Key);
typedef UINTN(__attribute__((ms_abi)) * OUTPUT)(void *This, CHAR16 *Text);
typedef UINTN(__attribute__((ms_abi)) * RESET)(UINTN Kind, UINTN Status, UINTN Size, void *Data);
typedef UINTN(__attribute__((ms_abi)) * GET_VARIABLE)(CHAR16 *, void *, unsigned *, UINTN *, void *);
typedef UINTN(__attribute__((ms_abi)) * SET_VARIABLE)(CHAR16 *, void *, unsigned, UINTN, void *);

#define RESET_COLD 0
#define RESET_SHUTDOWN 2
#define EFI_TIMEOUT 0x8000000000000012ull

static inline void Out(unsigned short Port, UINT8 Value)
{
    __asm__ volatile("outb %0, %1" : : "a"(Value), "Nd"(Port));
}

static inline UINT8 In(unsigned short Port)
{
    UINT8 Value;
    __asm__ volatile("inb %1, %0" : "=a"(Value) : "Nd"(Port));
    return Value;
}

static void Say(const char *Text)
{
    for (; *Text != 0; Text += 1) {
        while ((In(COM1 + 5) & 0x20) == 0) {
        }
        Out(COM1, (UINT8)*Text);
    }
}

static void Reset(void *Services, UINTN Kind)
{
    ((RESET)TABLE(Services, 104))(Kind, 0, 0, 0);
}

#ifdef ROLE_PROMPT
static CHAR16 Prompt[] = u"Press any key to boot from CD or DVD..";

static int Pressed(void *System)
{
    UINT8 Key[8];
    void *Input = TABLE(System, CON_IN);
    STALL Stall = (STALL)TABLE(TABLE(System, BOOT_SERVICES), 248);

    ((OUTPUT)TABLE(TABLE(System, CON_OUT), 8))(TABLE(System, CON_OUT), Prompt);
    for (int Tenths = 0; Tenths < SECONDS * 10; Tenths += 1) {
        if (((READ_KEY)TABLE(Input, 8))(Input, Key) == 0) {
            return 1;
        }
        Stall(100000);
    }
    return 0;
}
#endif

#ifdef ROLE_INSTALL
static CHAR16 Name[] = u"FltlabInstalled";
static UINT8 Owner[16] = {0x66, 0x6c, 0x74, 0x6c, 0x61, 0x62, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7};

static int Installed(void *Services)
{
    UINT8 Value = 1;
    UINTN Size = sizeof(Value);

    if (((GET_VARIABLE)TABLE(Services, 72))(Name, Owner, 0, &Size, &Value) == 0) {
        return 1;
    }
    ((SET_VARIABLE)TABLE(Services, 88))(Name, Owner, 7, sizeof(Value), &Value);
    return 0;
}
#endif

UINTN __attribute__((ms_abi)) Main(void *Image, void *System)
{
    void *Services = TABLE(System, RUNTIME_SERVICES);

    (void)Image;
#if defined(ROLE_PROMPT)
    if (!Pressed(System)) {
        return EFI_TIMEOUT;
    }
    Say(TEXT);
#elif defined(ROLE_PANIC)
    Say("about to panic\r\n");
    Out(PVPANIC, (UINT8)(TEXT[0] - '0'));
    Say("still running\r\n");
    for (;;) {
        __asm__ volatile("hlt");
    }
#elif defined(ROLE_INSTALL)
    if (!Installed(Services)) {
        Say(TEXT);
        Reset(Services, RESET_COLD);
    }
    Say(SECOND);
#else
    Say(TEXT);
#endif
    Reset(Services, RESET_SHUTDOWN);
    return 0;
}
