/*
 * program.c: UEFI programs that stand in for what boots on a Windows machine. Built by efi_programs.py, one per ROLE.
 *
 * ROLE_SAY     says TEXT on COM1 and switches the machine off
 * ROLE_PARK    says TEXT and waits for ever
 * ROLE_PROMPT  asks for a key as Microsoft's efisys.bin does; with one it says TEXT, without one it returns
 * ROLE_PANIC   writes TEXT's first digit to pvpanic's port and keeps running
 * ROLE_INSTALL says TEXT, writes the disk image IMAGE to the first disk, says SECOND and resets: it plays Windows PE
 * ROLE_START   says TEXT and resets; when it comes again it says SECOND, waits, says THIRD and switches off: it plays
 *              the first start of Windows
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

typedef UINTN(__attribute__((ms_abi)) * LOCATE)(unsigned, void *, void *, UINTN *, void **);
typedef UINTN(__attribute__((ms_abi)) * HANDLE_PROTOCOL)(void *, void *, void **);
typedef UINTN(__attribute__((ms_abi)) * WRITE_BLOCKS)(void *, unsigned, UINTN, UINTN, const void *);

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
#define BY_PROTOCOL 2
#define BLOCK 512

static UINT8 BlockIo[16] = {0x21, 0x5b, 0x4e, 0x96, 0x59, 0x64, 0xd2, 0x11, 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b};

__asm__(".section .rdata,\"dr\"\n"
        ".globl DiskImage\n.balign 16\nDiskImage:\n.incbin \"" IMAGE "\"\n"
        ".globl DiskImageEnd\nDiskImageEnd:\n.text\n");
extern const UINT8 DiskImage[], DiskImageEnd[];

static int WriteFirstDisk(void *System)
{
    void *Boot = TABLE(System, BOOT_SERVICES);
    void *Handles[64];
    UINTN Size = sizeof(Handles);

    if (((LOCATE)TABLE(Boot, 176))(BY_PROTOCOL, BlockIo, 0, &Size, Handles) != 0) {
        return 0;
    }
    for (UINTN Index = 0; Index < Size / sizeof(void *); Index += 1) {
        void *Protocol;
        UINT8 *Media;

        if (((HANDLE_PROTOCOL)TABLE(Boot, 152))(Handles[Index], BlockIo, &Protocol) != 0) {
            continue;
        }
        Media = TABLE(Protocol, 8);
        if (Media[4] || !Media[5] || Media[6] || Media[7] || *(unsigned *)(Media + 12) != BLOCK) {
            continue; /* removable, empty, a partition, read-only, or no disk */
        }
        return ((WRITE_BLOCKS)TABLE(Protocol, 32))(Protocol, *(unsigned *)Media, 0, (UINTN)(DiskImageEnd - DiskImage), DiskImage) == 0;
    }
    return 0;
}
#endif

#ifdef ROLE_START
static CHAR16 Name[] = u"FltlabStarted";
static UINT8 Owner[16] = {0x66, 0x6c, 0x74, 0x6c, 0x61, 0x62, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7};

static int Started(void *Services)
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
#elif defined(ROLE_PARK)
    Say(TEXT);
    for (;;) {
        __asm__ volatile("hlt");
    }
#elif defined(ROLE_PANIC)
    Say("about to panic\r\n");
    Out(PVPANIC, (UINT8)(TEXT[0] - '0'));
    Say("still running\r\n");
    for (;;) {
        __asm__ volatile("hlt");
    }
#elif defined(ROLE_INSTALL)
    Say(TEXT);
    if (!WriteFirstDisk(System)) {
        Say("FLTLAB-PE-FAIL diskpart\r\nFLTLAB-PE-LOG-END\r\n");
    }
    Say(SECOND);
    Reset(Services, RESET_COLD);
#elif defined(ROLE_START)
    if (!Started(Services)) {
        Say(TEXT);
        Reset(Services, RESET_COLD);
    }
    Say(SECOND);
    ((STALL)TABLE(TABLE(System, BOOT_SERVICES), 248))(SECONDS * 1000000);
    Say(THIRD);
#else
    Say(TEXT);
#endif
    Reset(Services, RESET_SHUTDOWN);
    return 0;
}
