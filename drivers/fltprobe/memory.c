/*
 * memory.c: memory that is never given back, and the two functions a compiler calls by itself.
 */

#include "probe.h"

#define CHUNK_SIZE 0x10000

static UCHAR *Chunk;
static SIZE_T ChunkLeft;
static volatile LONG ChunkLock;

PVOID
AllocatePages(SIZE_T Size)
{
    PVOID Base = NULL;
    SIZE_T Rounded = (Size + 0xFFF) & ~(SIZE_T)0xFFF;

    if (NtAllocateVirtualMemory(NtCurrentProcess(), &Base, 0, &Rounded, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) < 0) {
        NtTerminateProcess(NtCurrentProcess(), STATUS_NO_MEMORY);
    }
    return Base;
}

PVOID
Allocate(SIZE_T Size)
{
    PVOID Block;
    SIZE_T Rounded = (Size + 15) & ~(SIZE_T)15;

    if (Rounded > CHUNK_SIZE / 4) {
        return AllocatePages(Rounded);
    }
    /* Steps run in several threads; nobody holds this for longer than one system call. */
    while (__sync_lock_test_and_set(&ChunkLock, 1)) {
        Sleep100ns(1);
    }
    if (Rounded > ChunkLeft) {
        Chunk = AllocatePages(CHUNK_SIZE);
        ChunkLeft = CHUNK_SIZE;
    }
    Block = Chunk;
    Chunk += Rounded;
    ChunkLeft -= Rounded;
    __sync_lock_release(&ChunkLock);
    return Block;
}

/* Eight bytes at a time: an emulator takes as long for each round of these as for eight bytes. */
void *
memcpy(void *To, const void *From, size_t Count)
{
    void *Result = To;
    size_t Words = Count / 8;

    __asm__ volatile("rep movsq" : "+D"(To), "+S"(From), "+c"(Words) : : "memory");
    Count %= 8;
    __asm__ volatile("rep movsb" : "+D"(To), "+S"(From), "+c"(Count) : : "memory");
    return Result;
}

void *
memset(void *To, int Value, size_t Count)
{
    void *Result = To;
    size_t Words = Count / 8;

    __asm__ volatile("rep stosq" : "+D"(To), "+c"(Words) : "a"((UCHAR)Value * 0x0101010101010101ull) : "memory");
    Count %= 8;
    __asm__ volatile("rep stosb" : "+D"(To), "+c"(Count) : "a"(Value) : "memory");
    return Result;
}
