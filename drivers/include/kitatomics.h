/*
 * kitatomics.h: interlocked operations and ordered loads and stores of the kit that mingw-w64 lacks. On x64 every
 * interlocked operation is a full barrier, an aligned load acquires and an aligned store releases, so the variants for
 * less are the same code.
 */

#ifndef KITATOMICS_H
#define KITATOMICS_H

#define FLTLAB_INTERLOCKED(Name, Type, Builtin)                                                                        \
    FORCEINLINE Type Name(Type volatile *Target, Type Value)                                                           \
    {                                                                                                                  \
        return (Type)Builtin(Target, Value, __ATOMIC_SEQ_CST);                                                         \
    }
#define FLTLAB_COUNT(Name, Type, Builtin)                                                                              \
    FORCEINLINE Type Name(Type volatile *Target)                                                                       \
    {                                                                                                                  \
        return (Type)Builtin(Target, 1, __ATOMIC_SEQ_CST);                                                             \
    }
#define FLTLAB_COMPARE(Name, Type)                                                                                     \
    FORCEINLINE Type Name(Type volatile *Target, Type Value, Type Comparand)                                           \
    {                                                                                                                  \
        __atomic_compare_exchange_n(Target, &Comparand, Value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                 \
        return Comparand;                                                                                              \
    }
#define FLTLAB_LOAD(Name, Type, Order)                                                                                 \
    FORCEINLINE Type Name(Type const volatile *Source)                                                                 \
    {                                                                                                                  \
        return __atomic_load_n(Source, Order);                                                                         \
    }
#define FLTLAB_STORE(Name, Type, Order)                                                                                \
    FORCEINLINE VOID Name(Type volatile *Target, Type Value)                                                           \
    {                                                                                                                  \
        __atomic_store_n(Target, Value, Order);                                                                        \
    }
#define FLTLAB_ORDERED(Kind, Type)                                                                                     \
    FLTLAB_LOAD(Read##Kind##Acquire, Type, __ATOMIC_ACQUIRE)                                                           \
    FLTLAB_LOAD(Read##Kind##NoFence, Type, __ATOMIC_RELAXED)                                                           \
    FLTLAB_LOAD(Read##Kind##Raw, Type, __ATOMIC_RELAXED)                                                               \
    FLTLAB_STORE(Write##Kind##Release, Type, __ATOMIC_RELEASE)                                                         \
    FLTLAB_STORE(Write##Kind##NoFence, Type, __ATOMIC_RELAXED)                                                         \
    FLTLAB_STORE(Write##Kind##Raw, Type, __ATOMIC_RELAXED)
#define FLTLAB_ORDERED_OF_SIZE(Size, Type)                                                                             \
    FLTLAB_LOAD(ReadAcquire##Size, Type, __ATOMIC_ACQUIRE)                                                             \
    FLTLAB_LOAD(ReadNoFence##Size, Type, __ATOMIC_RELAXED)                                                             \
    FLTLAB_LOAD(ReadRaw##Size, Type, __ATOMIC_RELAXED)                                                                 \
    FLTLAB_STORE(WriteRelease##Size, Type, __ATOMIC_RELEASE)                                                           \
    FLTLAB_STORE(WriteNoFence##Size, Type, __ATOMIC_RELAXED)                                                           \
    FLTLAB_STORE(WriteRaw##Size, Type, __ATOMIC_RELAXED)

/* clang-format off */
FLTLAB_INTERLOCKED(InterlockedExchange8, CHAR, __atomic_exchange_n)
FLTLAB_INTERLOCKED(InterlockedExchangeAdd8, CHAR, __atomic_fetch_add)
FLTLAB_INTERLOCKED(InterlockedOr8, CHAR, __atomic_fetch_or)
FLTLAB_INTERLOCKED(InterlockedAnd8, CHAR, __atomic_fetch_and)
FLTLAB_INTERLOCKED(InterlockedXor8, CHAR, __atomic_fetch_xor)
FLTLAB_INTERLOCKED(InterlockedExchange16, SHORT, __atomic_exchange_n)
FLTLAB_INTERLOCKED(InterlockedExchangeAdd16, SHORT, __atomic_fetch_add)
FLTLAB_INTERLOCKED(InterlockedOr16, SHORT, __atomic_fetch_or)
FLTLAB_INTERLOCKED(InterlockedAnd16, SHORT, __atomic_fetch_and)
FLTLAB_INTERLOCKED(InterlockedXor16, SHORT, __atomic_fetch_xor)
FLTLAB_COUNT(InterlockedIncrement16, SHORT, __atomic_add_fetch)
FLTLAB_COUNT(InterlockedDecrement16, SHORT, __atomic_sub_fetch)
FLTLAB_COMPARE(InterlockedCompareExchange16, SHORT)

FLTLAB_ORDERED_OF_SIZE(, LONG)
FLTLAB_ORDERED_OF_SIZE(8, CHAR)
FLTLAB_ORDERED_OF_SIZE(16, SHORT)
FLTLAB_ORDERED_OF_SIZE(64, LONG64)
FLTLAB_ORDERED(UChar, UCHAR)
FLTLAB_ORDERED(UShort, USHORT)
FLTLAB_ORDERED(ULong, ULONG)
FLTLAB_ORDERED(ULong64, ULONG64)
FLTLAB_ORDERED(Pointer, PVOID)

#define InterlockedIncrementAcquire InterlockedIncrement
#define InterlockedIncrementRelease InterlockedIncrement
#define InterlockedIncrementNoFence InterlockedIncrement
#define InterlockedIncrementAcquire16 InterlockedIncrement16
#define InterlockedIncrementRelease16 InterlockedIncrement16
#define InterlockedIncrementNoFence16 InterlockedIncrement16
#define InterlockedIncrementAcquire64 InterlockedIncrement64
#define InterlockedIncrementRelease64 InterlockedIncrement64
#define InterlockedIncrementNoFence64 InterlockedIncrement64
#define InterlockedDecrementAcquire InterlockedDecrement
#define InterlockedDecrementRelease InterlockedDecrement
#define InterlockedDecrementNoFence InterlockedDecrement
#define InterlockedDecrementAcquire16 InterlockedDecrement16
#define InterlockedDecrementRelease16 InterlockedDecrement16
#define InterlockedDecrementNoFence16 InterlockedDecrement16
#define InterlockedDecrementAcquire64 InterlockedDecrement64
#define InterlockedDecrementRelease64 InterlockedDecrement64
#define InterlockedDecrementNoFence64 InterlockedDecrement64
#define InterlockedExchangeAcquire InterlockedExchange
#define InterlockedExchangeRelease InterlockedExchange
#define InterlockedExchangeNoFence InterlockedExchange
#define InterlockedExchangeAcquire16 InterlockedExchange16
#define InterlockedExchangeRelease16 InterlockedExchange16
#define InterlockedExchangeNoFence16 InterlockedExchange16
#define InterlockedExchangeAcquire64 InterlockedExchange64
#define InterlockedExchangeRelease64 InterlockedExchange64
#define InterlockedExchangeNoFence64 InterlockedExchange64
#define InterlockedExchangeAddAcquire InterlockedExchangeAdd
#define InterlockedExchangeAddRelease InterlockedExchangeAdd
#define InterlockedExchangeAddNoFence InterlockedExchangeAdd
#define InterlockedExchangeAddAcquire16 InterlockedExchangeAdd16
#define InterlockedExchangeAddRelease16 InterlockedExchangeAdd16
#define InterlockedExchangeAddNoFence16 InterlockedExchangeAdd16
#define InterlockedExchangeAddAcquire64 InterlockedExchangeAdd64
#define InterlockedExchangeAddRelease64 InterlockedExchangeAdd64
#define InterlockedExchangeAddNoFence64 InterlockedExchangeAdd64
#define InterlockedCompareExchangeAcquire InterlockedCompareExchange
#define InterlockedCompareExchangeRelease InterlockedCompareExchange
#define InterlockedCompareExchangeNoFence InterlockedCompareExchange
#define InterlockedCompareExchangeAcquire16 InterlockedCompareExchange16
#define InterlockedCompareExchangeRelease16 InterlockedCompareExchange16
#define InterlockedCompareExchangeNoFence16 InterlockedCompareExchange16
#define InterlockedCompareExchangeAcquire64 InterlockedCompareExchange64
#define InterlockedCompareExchangeRelease64 InterlockedCompareExchange64
#define InterlockedCompareExchangeNoFence64 InterlockedCompareExchange64
#define InterlockedOrAcquire InterlockedOr
#define InterlockedOrRelease InterlockedOr
#define InterlockedOrNoFence InterlockedOr
#define InterlockedOrAcquire16 InterlockedOr16
#define InterlockedOrRelease16 InterlockedOr16
#define InterlockedOrNoFence16 InterlockedOr16
#define InterlockedOrAcquire64 InterlockedOr64
#define InterlockedOrRelease64 InterlockedOr64
#define InterlockedOrNoFence64 InterlockedOr64
#define InterlockedAndAcquire InterlockedAnd
#define InterlockedAndRelease InterlockedAnd
#define InterlockedAndNoFence InterlockedAnd
#define InterlockedAndAcquire16 InterlockedAnd16
#define InterlockedAndRelease16 InterlockedAnd16
#define InterlockedAndNoFence16 InterlockedAnd16
#define InterlockedAndAcquire64 InterlockedAnd64
#define InterlockedAndRelease64 InterlockedAnd64
#define InterlockedAndNoFence64 InterlockedAnd64
#define InterlockedXorAcquire InterlockedXor
#define InterlockedXorRelease InterlockedXor
#define InterlockedXorNoFence InterlockedXor
#define InterlockedXorAcquire16 InterlockedXor16
#define InterlockedXorRelease16 InterlockedXor16
#define InterlockedXorNoFence16 InterlockedXor16
#define InterlockedXorAcquire64 InterlockedXor64
#define InterlockedXorRelease64 InterlockedXor64
#define InterlockedXorNoFence64 InterlockedXor64
#define InterlockedAddAcquire InterlockedAdd
#define InterlockedAddRelease InterlockedAdd
#define InterlockedAddNoFence InterlockedAdd
#define InterlockedAddAcquire64 InterlockedAdd64
#define InterlockedAddRelease64 InterlockedAdd64
#define InterlockedAddNoFence64 InterlockedAdd64
#define InterlockedExchangePointerAcquire InterlockedExchangePointer
#define InterlockedCompareExchangePointerAcquire InterlockedCompareExchangePointer
#define InterlockedExchangePointerRelease InterlockedExchangePointer
#define InterlockedCompareExchangePointerRelease InterlockedCompareExchangePointer
#define InterlockedExchangePointerNoFence InterlockedExchangePointer
#define InterlockedCompareExchangePointerNoFence InterlockedCompareExchangePointer
unsigned char _InterlockedCompareExchange128(LONG64 volatile *, LONG64, LONG64, LONG64 *);
#define InterlockedCompareExchange128 _InterlockedCompareExchange128
/* clang-format on */

#define ReadForWriteAccess(Pointer) (*(Pointer))
#define PrefetchForWrite(Pointer) __builtin_prefetch((const void *)(Pointer), 1)

/* Whether all bytes are zero. */
FORCEINLINE BOOLEAN
RtlIsZeroMemory(PVOID Buffer, SIZE_T Length)
{
    SIZE_T At;

    for (At = 0; At < Length; At++) {
        if (((PUCHAR)Buffer)[At] != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

#endif /* KITATOMICS_H */
