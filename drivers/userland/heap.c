/*
 * heap.c: heaps. Blocks of up to a page come from lists by their size; a larger one has pages of its own.
 */

#include "userland.h"

#define CHUNK 0x10000
#define LARGEST_SMALL 0x800
#define CLASSES 8 /* 16, 32, ... 2048 */

typedef struct _BLOCK {
    SIZE_T Size; /* asked for */
    SIZE_T Kind; /* index of its list; CLASSES for pages of its own */
} BLOCK;

typedef struct _FREE {
    struct _FREE *Next;
} FREE;

static FREE *Lists[CLASSES];
static UCHAR *Chunk;
static SIZE_T ChunkLeft;
static volatile LONG Lock;

static void
Enter(void)
{
    LARGE_INTEGER Soon = {.QuadPart = -1};

    while (__sync_lock_test_and_set(&Lock, 1)) {
        NtDelayExecution(FALSE, &Soon);
    }
}

static void *
Pages(SIZE_T Size)
{
    PVOID Base = NULL;

    return NtAllocateVirtualMemory(HERE, &Base, 0, &Size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) < 0 ? NULL : Base;
}

static BLOCK *
Small(ULONG Kind)
{
    SIZE_T Size = sizeof(BLOCK) + ((SIZE_T)16 << Kind);
    BLOCK *Block;

    Enter();
    if (Lists[Kind] != NULL) {
        Block = (BLOCK *)Lists[Kind] - 1;
        Lists[Kind] = Lists[Kind]->Next;
    } else {
        if (ChunkLeft < Size) {
            Chunk = Pages(CHUNK);
            ChunkLeft = Chunk != NULL ? CHUNK : 0;
        }
        Block = (BLOCK *)Chunk;
        Chunk += ChunkLeft != 0 ? Size : 0;
        ChunkLeft -= ChunkLeft != 0 ? Size : 0;
    }
    __sync_lock_release(&Lock);
    return Block;
}

void *
Allocate(SIZE_T Size)
{
    ULONG Kind = 0;
    BLOCK *Block;

    while (Kind < CLASSES && Size > (SIZE_T)16 << Kind) {
        Kind++;
    }
    Block = Kind < CLASSES ? Small(Kind) : Pages(Size + sizeof(BLOCK));
    if (Block == NULL) {
        return NULL;
    }
    Block->Size = Size;
    Block->Kind = Kind;
    memset(Block + 1, 0, Kind < CLASSES ? (SIZE_T)16 << Kind : 0);
    return Block + 1;
}

void
Release(void *Memory)
{
    BLOCK *Block = (BLOCK *)Memory - 1;
    PVOID Base = Block;
    SIZE_T Size = 0;

    if (Memory == NULL) {
        return;
    }
    if (Block->Kind == CLASSES) {
        NtFreeVirtualMemory(HERE, &Base, &Size, MEM_RELEASE);
        return;
    }
    Enter();
    ((FREE *)Memory)->Next = Lists[Block->Kind];
    Lists[Block->Kind] = Memory;
    __sync_lock_release(&Lock);
}

SIZE_T
SizeOf(const void *Memory)
{
    return ((const BLOCK *)Memory - 1)->Size;
}

void *
Reallocate(void *Memory, SIZE_T Size)
{
    void *Larger = Allocate(Size);

    if (Memory != NULL && Larger != NULL) {
        memcpy(Larger, Memory, SizeOf(Memory) < Size ? SizeOf(Memory) : Size);
        Release(Memory);
    }
    return Larger;
}

EXPORT HANDLE WINAPI
GetProcessHeap(void)
{
    return Lists;
}

EXPORT HANDLE WINAPI
HeapCreate(DWORD Options, SIZE_T Initial, SIZE_T Maximum)
{
    (void)Options;
    (void)Initial;
    (void)Maximum;
    return Lists;
}

EXPORT BOOL WINAPI
HeapDestroy(HANDLE Heap)
{
    (void)Heap;
    return TRUE;
}

EXPORT LPVOID WINAPI
HeapAlloc(HANDLE Heap, DWORD Flags, SIZE_T Size)
{
    (void)Heap;
    (void)Flags;
    return Allocate(Size);
}

EXPORT LPVOID WINAPI
HeapReAlloc(HANDLE Heap, DWORD Flags, LPVOID Block, SIZE_T Size)
{
    (void)Heap;
    (void)Flags;
    return Reallocate(Block, Size);
}

EXPORT BOOL WINAPI
HeapFree(HANDLE Heap, DWORD Flags, LPVOID Block)
{
    (void)Heap;
    (void)Flags;
    Release(Block);
    return TRUE;
}

EXPORT SIZE_T WINAPI
HeapSize(HANDLE Heap, DWORD Flags, LPCVOID Block)
{
    (void)Heap;
    (void)Flags;
    return SizeOf(Block);
}

EXPORT BOOL WINAPI
HeapSetInformation(HANDLE Heap, HEAP_INFORMATION_CLASS Class, PVOID Information, SIZE_T Length)
{
    (void)Heap;
    (void)Class;
    (void)Information;
    (void)Length;
    return TRUE;
}

EXPORT HLOCAL WINAPI
LocalAlloc(UINT Flags, SIZE_T Size)
{
    (void)Flags;
    return Allocate(Size);
}

EXPORT HLOCAL WINAPI
LocalFree(HLOCAL Block)
{
    Release(Block);
    return NULL;
}

EXPORT HGLOBAL WINAPI
GlobalAlloc(UINT Flags, SIZE_T Size)
{
    (void)Flags;
    return Allocate(Size);
}

EXPORT HGLOBAL WINAPI
GlobalFree(HGLOBAL Block)
{
    Release(Block);
    return NULL;
}

EXPORT LPVOID WINAPI
VirtualAlloc(LPVOID Address, SIZE_T Size, DWORD Kind, DWORD Protection)
{
    return Done(NtAllocateVirtualMemory(HERE, &Address, 0, &Size, Kind, Protection)) ? Address : NULL;
}

EXPORT BOOL WINAPI
VirtualFree(LPVOID Address, SIZE_T Size, DWORD Kind)
{
    return Done(NtFreeVirtualMemory(HERE, &Address, &Size, Kind));
}

/* Pages keep the protection that they have: nothing that a program may ask for here is refused by them. */
EXPORT BOOL WINAPI
VirtualProtect(LPVOID Address, SIZE_T Size, DWORD Protection, PDWORD Old)
{
    (void)Address;
    (void)Size;
    (void)Protection;
    *Old = PAGE_READWRITE;
    return TRUE;
}

EXPORT SIZE_T WINAPI
VirtualQuery(LPCVOID Address, PMEMORY_BASIC_INFORMATION Information, SIZE_T Length)
{
    memset(Information, 0, Length);
    Information->BaseAddress = (PVOID)((ULONG_PTR)Address & ~(ULONG_PTR)0xFFF);
    Information->RegionSize = 0x1000;
    Information->State = MEM_COMMIT;
    Information->Protect = PAGE_READWRITE;
    return sizeof(*Information);
}
