/*
 * kitnames.h: what drivers expect of the driver kit's headers and Microsoft's metadata does not have: macros, inline
 * functions, and structures that mingw-w64 declares in an older form. ntkernel.h includes it.
 */

#ifndef KITNAMES_H
#define KITNAMES_H

/*
 * The language. Microsoft's compiler takes try, except, finally and leave for __try and its kin in C (not in C++).
 */
#ifndef __cplusplus
#define try __try
#define except __except
#define finally __finally
#define leave __leave
#endif

#ifndef _TCHAR_DEFINED
#define _TCHAR_DEFINED
#ifdef UNICODE
typedef WCHAR TCHAR, *PTCHAR, TUCHAR, *PTUCHAR;
typedef PWSTR PTSTR, LPTSTR;
typedef PCWSTR PCTSTR, LPCTSTR;
#else
typedef CHAR TCHAR, *PTCHAR;
typedef UCHAR TUCHAR, *PTUCHAR;
typedef PSTR PTSTR, LPTSTR;
typedef PCSTR PCTSTR, LPCTSTR;
#endif
#endif

#ifndef EXTERN_C_START
#ifdef __cplusplus
#define EXTERN_C_START extern "C" {
#define EXTERN_C_END }
#else
#define EXTERN_C_START
#define EXTERN_C_END
#endif
#endif

/* The kit's are expressions: a parameter that is const, or `P = NULL`, is one that nobody refers to, too. */
#undef UNREFERENCED_PARAMETER
#undef DBG_UNREFERENCED_PARAMETER
#undef DBG_UNREFERENCED_LOCAL_VARIABLE
#define UNREFERENCED_PARAMETER(P) ((void)(P))
#define DBG_UNREFERENCED_PARAMETER(P) ((void)(P))
#define DBG_UNREFERENCED_LOCAL_VARIABLE(V) ((void)(V))

/*
 * The operators of an enumeration of flags
 */
#ifndef DEFINE_ENUM_FLAG_OPERATORS
#ifdef __cplusplus
#define KIT_FLAG_OPERATOR(Type, Operator)                                                                              \
    inline constexpr Type operator Operator(Type A, Type B) noexcept                                                   \
    {                                                                                                                  \
        return (Type)((__underlying_type(Type))A Operator(__underlying_type(Type)) B);                                 \
    }                                                                                                                  \
    inline Type &operator Operator##=(Type & A, Type B) noexcept                                                       \
    {                                                                                                                  \
        return A = A Operator B;                                                                                       \
    }
#define DEFINE_ENUM_FLAG_OPERATORS(Type)                                                                               \
    extern "C++" {                                                                                                     \
    KIT_FLAG_OPERATOR(Type, |)                                                                                         \
    KIT_FLAG_OPERATOR(Type, &)                                                                                         \
    KIT_FLAG_OPERATOR(Type, ^)                                                                                         \
    inline constexpr Type                                                                                              \
    operator~(Type A) noexcept                                                                                         \
    {                                                                                                                  \
        return (Type) ~(__underlying_type(Type))A;                                                                     \
    }                                                                                                                  \
    }
#else
#define DEFINE_ENUM_FLAG_OPERATORS(Type) /* C has them of itself */
#endif
#endif

/*
 * Arithmetic
 */
#ifndef Add2Ptr
#define Add2Ptr(Pointer, Bytes) ((PVOID)((PUCHAR)(Pointer) + (Bytes)))
#endif
#ifndef PtrOffset
#define PtrOffset(Base, Pointer) ((ULONG)((ULONG_PTR)(Pointer) - (ULONG_PTR)(Base)))
#endif
#ifndef ROUND_TO_SIZE
#define ROUND_TO_SIZE(Length, Alignment) ((((ULONG_PTR)(Length)) + ((Alignment) - 1)) & ~(ULONG_PTR)((Alignment) - 1))
#endif
#ifndef ROUND_UP_TO
#define ROUND_UP_TO(Length, Alignment) ROUND_TO_SIZE(Length, Alignment)
#endif
#ifndef IS_ALIGNED
#define IS_ALIGNED(Pointer, Alignment) ((((ULONG_PTR)(Pointer)) & ((Alignment) - 1)) == 0)
#endif
#ifndef Min
#define Min(A, B) ((A) < (B) ? (A) : (B))
#define Max(A, B) ((A) > (B) ? (A) : (B))
#endif
#ifndef WCHAR_MAX
#define WCHAR_MAX 0xFFFF
#endif
#ifndef SIZE_T_MAX
#define SIZE_T_MAX (~(SIZE_T)0)
#endif

/*
 * Files
 */
#ifndef FILE_INVALID_FILE_ID
#define FILE_INVALID_FILE_ID ((LONGLONG) - 1LL)
#define FILE_ID_IS_INVALID(Id) ((Id).QuadPart == FILE_INVALID_FILE_ID)
#endif
#ifndef FILE_STRUCTURED_STORAGE
#define FILE_COPY_STRUCTURED_STORAGE 0x00000041
#define FILE_STRUCTURED_STORAGE 0x00000441
#endif
#ifndef SL_NO_CURSOR_UPDATE_QUERY
#define SL_NO_CURSOR_UPDATE_QUERY 0x10
#endif
#ifndef IRP_UM_DRIVER_INITIATED_IO
#define IRP_UM_DRIVER_INITIATED_IO 0x00400000
#endif
#ifndef SEC_NO_CHANGE
#define SEC_NO_CHANGE 0x00400000
#endif
#ifndef MdlMappingWithGuardPtes
#define MdlMappingWithGuardPtes 0x20000000
#endif

/*
 * Where the name is in each kind of directory entry. The definitions give the name's offset where the structure has
 * that of its length, and the other way round: so does the kit, and drivers read them crosswise.
 */
typedef struct _FILE_INFORMATION_DEFINITION {
    FILE_INFORMATION_CLASS Class;
    ULONG NextEntryOffset;
    ULONG FileNameLengthOffset;
    ULONG FileNameOffset;
} FILE_INFORMATION_DEFINITION, *PFILE_INFORMATION_DEFINITION;
#define KIT_DIRECTORY_ENTRY(Class, Type)                                                                               \
    {Class, FIELD_OFFSET(Type, NextEntryOffset), FIELD_OFFSET(Type, FileName), FIELD_OFFSET(Type, FileNameLength)}
#define FileDirectoryInformationDefinition KIT_DIRECTORY_ENTRY(FileDirectoryInformation, FILE_DIRECTORY_INFORMATION)
#define FileFullDirectoryInformationDefinition                                                                         \
    KIT_DIRECTORY_ENTRY(FileFullDirectoryInformation, FILE_FULL_DIR_INFORMATION)
#define FileBothDirectoryInformationDefinition                                                                         \
    KIT_DIRECTORY_ENTRY(FileBothDirectoryInformation, FILE_BOTH_DIR_INFORMATION)
#define FileIdFullDirectoryInformationDefinition                                                                       \
    KIT_DIRECTORY_ENTRY(FileIdFullDirectoryInformation, FILE_ID_FULL_DIR_INFORMATION)
#define FileIdBothDirectoryInformationDefinition                                                                       \
    KIT_DIRECTORY_ENTRY(FileIdBothDirectoryInformation, FILE_ID_BOTH_DIR_INFORMATION)
#define FileIdExtdDirectoryInformationDefinition                                                                       \
    KIT_DIRECTORY_ENTRY(FileIdExtdDirectoryInformation, FILE_ID_EXTD_DIR_INFORMATION)
#define FileIdExtdBothDirectoryInformationDefinition                                                                   \
    KIT_DIRECTORY_ENTRY(FileIdExtdBothDirectoryInformation, FILE_ID_EXTD_BOTH_DIR_INFORMATION)
#define FileNamesInformationDefinition KIT_DIRECTORY_ENTRY(FileNamesInformation, FILE_NAMES_INFORMATION)

/*
 * Strings and object attributes
 */
#ifdef _INC_SWPRINTF_INL
int __cdecl swprintf(wchar_t *Buffer, const wchar_t *Format, ...);
#endif
#ifndef DECLARE_GLOBAL_CONST_UNICODE_STRING
#define DECLARE_GLOBAL_CONST_UNICODE_STRING(Name, Text)                                                                \
    extern const DECLSPEC_SELECTANY UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)
#endif
#ifndef RTL_CONSTANT_OBJECT_ATTRIBUTES
#define RTL_CONSTANT_OBJECT_ATTRIBUTES(Name, Attributes)                                                               \
    {sizeof(OBJECT_ATTRIBUTES), NULL, RTL_CONST_CAST(PUNICODE_STRING)(Name), (Attributes), NULL, NULL}
#endif
#ifndef RTL_CONST_CAST
#define RTL_CONST_CAST(Type) (Type)
#endif
#ifndef RTL_QUERY_REGISTRY_TYPECHECK_SHIFT
#define RTL_QUERY_REGISTRY_TYPECHECK_SHIFT 24
#define RTL_QUERY_REGISTRY_TYPECHECK_MASK (0xffu << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT)
#define RTL_QUERY_REGISTRY_TYPECHECK 0x00000100
#endif
typedef NTSTATUS NTAPI RTL_QUERY_REGISTRY_ROUTINE(PWSTR ValueName, ULONG ValueType, PVOID ValueData, ULONG ValueLength,
                                                  PVOID Context, PVOID EntryContext);
typedef VOID NTAPI DRIVER_FS_NOTIFICATION(PDEVICE_OBJECT DeviceObject, BOOLEAN FsActive);

/*
 * Role types: what drivers declare their callbacks with. mingw-w64 has only the pointers to these.
 */
#define FLTLAB_ROLE(Name) typedef __typeof__(*(P##Name)NULL) Name
FLTLAB_ROLE(ALLOCATE_FUNCTION);
FLTLAB_ROLE(ALLOCATE_FUNCTION_EX);
FLTLAB_ROLE(DRIVER_REINITIALIZE);
FLTLAB_ROLE(EXPAND_STACK_CALLOUT);
FLTLAB_ROLE(FREE_FUNCTION);
FLTLAB_ROLE(FREE_FUNCTION_EX);
FLTLAB_ROLE(IO_CSQ_ACQUIRE_LOCK);
FLTLAB_ROLE(IO_CSQ_COMPLETE_CANCELED_IRP);
FLTLAB_ROLE(IO_CSQ_INSERT_IRP);
FLTLAB_ROLE(IO_CSQ_PEEK_NEXT_IRP);
FLTLAB_ROLE(IO_CSQ_RELEASE_LOCK);
FLTLAB_ROLE(IO_CSQ_REMOVE_IRP);
FLTLAB_ROLE(RTL_AVL_ALLOCATE_ROUTINE);
FLTLAB_ROLE(RTL_AVL_COMPARE_ROUTINE);
FLTLAB_ROLE(RTL_AVL_FREE_ROUTINE);
FLTLAB_ROLE(RTL_AVL_MATCH_FUNCTION);
FLTLAB_ROLE(RTL_GENERIC_ALLOCATE_ROUTINE);
FLTLAB_ROLE(RTL_GENERIC_COMPARE_ROUTINE);
FLTLAB_ROLE(RTL_GENERIC_FREE_ROUTINE);
FLTLAB_ROLE(RTL_RUN_ONCE_INIT_FN);
#undef FLTLAB_ROLE
typedef DRIVER_DISPATCH DRIVER_DISPATCH_PAGED;

/*
 * Memory order
 */
#ifndef KeMemoryBarrier
#define KeMemoryBarrier() __sync_synchronize()
#define KeMemoryBarrierWithoutFence() __asm__ volatile("" ::: "memory")
#endif
#ifndef MemoryBarrier
#define MemoryBarrier() __sync_synchronize()
#endif

#ifndef NT_FRE_ASSERT
#define NT_FRE_ASSERT(Expression) ((Expression) ? TRUE : (DbgRaiseAssertionFailure(), FALSE))
#endif

/*
 * Pool. The kit's functions for memory that comes zeroed, or explicitly not, are inline over older exports: a bit of the
 * pool type asks for zeros.
 */
#ifndef POOL_ZERO_ALLOCATION
#define POOL_ZERO_ALLOCATION 1024
#endif
#ifndef POOL_NX_ALLOCATION
#define POOL_NX_ALLOCATION 512
#endif
#ifndef POOL_COLD_ALLOCATION
#define POOL_COLD_ALLOCATION 256
#endif
/* What the kit makes of NonPagedPool, and of pool on Windows before 10, is said here; Windows 10 needs neither. */
#define ExInitializeDriverRuntime(Flags) ((void)(Flags))
#define DrvRtPoolNxOptIn 1

FORCEINLINE PVOID
ExAllocatePoolZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    return ExAllocatePoolWithTag((POOL_TYPE)(PoolType | POOL_ZERO_ALLOCATION), NumberOfBytes, Tag);
}

FORCEINLINE PVOID
ExAllocatePoolUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag);
}

FORCEINLINE PVOID
ExAllocatePoolQuotaZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    return ExAllocatePoolWithQuotaTag((POOL_TYPE)(PoolType | POOL_ZERO_ALLOCATION), NumberOfBytes, Tag);
}

FORCEINLINE PVOID
ExAllocatePoolQuotaUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    return ExAllocatePoolWithQuotaTag(PoolType, NumberOfBytes, Tag);
}

FORCEINLINE PVOID
ExAllocatePoolPriorityZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag, EX_POOL_PRIORITY Priority)
{
    return ExAllocatePoolWithTagPriority((POOL_TYPE)(PoolType | POOL_ZERO_ALLOCATION), NumberOfBytes, Tag, Priority);
}

FORCEINLINE PVOID
ExAllocatePoolPriorityUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag, EX_POOL_PRIORITY Priority)
{
    return ExAllocatePoolWithTagPriority(PoolType, NumberOfBytes, Tag, Priority);
}

#define POOL_FLAG_REQUIRED_START 0x0000000000000001ULL
#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_SESSION 0x0000000000000004ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
#define POOL_FLAG_REQUIRED_END 0x0000000080000000ULL
#define POOL_FLAG_OPTIONAL_START 0x0000000100000000ULL
#define POOL_FLAG_SPECIAL_POOL 0x0000000100000000ULL
#define POOL_FLAG_OPTIONAL_END 0x8000000000000000ULL
NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

#ifndef MdlMappingNoExecute
#define MdlMappingNoWrite 0x80000000
#define MdlMappingNoExecute 0x40000000
#endif

#ifdef __cplusplus /* the kit's Priority is a ULONG: C++ makes no MM_PAGE_PRIORITY of NormalPagePriority | flags */
#define MmMapLockedPagesSpecifyCache(Mdl, Mode, Cache, Address, BugCheck, Priority)                                    \
    MmMapLockedPagesSpecifyCache(Mdl, Mode, Cache, Address, BugCheck, (MM_PAGE_PRIORITY)(Priority))
#endif

/* Volatile stores, which no compiler leaves out. */
FORCEINLINE PVOID
RtlZeroVolatileMemory(volatile void *Destination, SIZE_T Length)
{
    volatile UCHAR *At = (volatile UCHAR *)Destination;

    while (Length-- != 0) {
        *At++ = 0;
    }
    return (PVOID)Destination;
}

/*
 * Exports that drivers use and no documentation has, and what the metadata leaves out.
 */
NTKERNELAPI PUCHAR NTAPI PsGetProcessImageFileName(PEPROCESS Process);
NTKERNELAPI ULONG NTAPI PsGetProcessSessionId(PEPROCESS Process);
NTKERNELAPI ULONG NTAPI PsGetCurrentProcessSessionId(VOID);
NTKERNELAPI POBJECT_TYPE NTAPI ObGetObjectType(PVOID Object);
NTSYSAPI ULONG NTAPI RtlComputeCrc32(ULONG PartialCrc, PVOID Buffer, ULONG Length);
NTSYSAPI BOOLEAN NTAPI RtlIsStateSeparationEnabled(VOID);
#ifndef TRANSACTION_NOTIFICATION_MASK
typedef ULONG TRANSACTION_NOTIFICATION_MASK;
#endif
#ifndef DBG
#define DBG 0
#endif

/*
 * Push locks: the exports take flags.
 */
#ifndef ExAcquirePushLockExclusive
#define ExInitializePushLockNamed(Lock) ExInitializePushLock(Lock)
#define ExAcquirePushLockExclusive(Lock) ExAcquirePushLockExclusiveEx(Lock, 0)
#define ExAcquirePushLockShared(Lock) ExAcquirePushLockSharedEx(Lock, 0)
#define ExReleasePushLockExclusive(Lock) ExReleasePushLockExclusiveEx(Lock, 0)
#define ExReleasePushLockShared(Lock) ExReleasePushLockSharedEx(Lock, 0)
#endif

typedef struct _KTRANSACTION KTRANSACTION, *PKTRANSACTION;

/* A spin lock for readers and writers. */
typedef LONG EX_SPIN_LOCK, *PEX_SPIN_LOCK;

/*
 * Renaming and linking, with flags for what used to be ReplaceIfExists. ntkernel.h keeps mingw-w64's older ones away.
 */
typedef struct _FILE_RENAME_INFORMATION {
    union {
        BOOLEAN ReplaceIfExists; /* FileRenameInformation */
        ULONG Flags;             /* FileRenameInformationEx */
    };
    HANDLE RootDirectory;
    ULONG FileNameLength;
    WCHAR FileName[1];
} FILE_RENAME_INFORMATION, *PFILE_RENAME_INFORMATION;
typedef FILE_RENAME_INFORMATION FILE_RENAME_INFORMATION_EX, *PFILE_RENAME_INFORMATION_EX;

typedef struct _FILE_LINK_INFORMATION {
    union {
        BOOLEAN ReplaceIfExists; /* FileLinkInformation */
        ULONG Flags;             /* FileLinkInformationEx */
    };
    HANDLE RootDirectory;
    ULONG FileNameLength;
    WCHAR FileName[1];
} FILE_LINK_INFORMATION, *PFILE_LINK_INFORMATION;
typedef FILE_LINK_INFORMATION FILE_LINK_INFORMATION_EX, *PFILE_LINK_INFORMATION_EX;

#endif /* KITNAMES_H */
