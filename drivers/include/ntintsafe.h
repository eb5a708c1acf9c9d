/*
 * ntintsafe.h: arithmetic and conversions of integers that say when the result does not fit.
 *
 * RtlULongAdd, RtlSizeTMult, RtlULongToUShort and their kin answer STATUS_INTEGER_OVERFLOW then, and give the type's
 * error value: all of its bits.
 */

#ifndef NTINTSAFE_H
#define NTINTSAFE_H

#include <ntkernel.h>

#define FLTLAB_SAFE(Overflows, Type, Result)                                                                           \
    ((Overflows) ? (*(Result) = (Type) ~(Type)0, STATUS_INTEGER_OVERFLOW) : STATUS_SUCCESS)

#define FLTLAB_SAFE_ARITHMETIC(Name, Type)                                                                             \
    FORCEINLINE NTSTATUS Rtl##Name##Add(Type A, Type B, Type *Result)                                                  \
    {                                                                                                                  \
        return FLTLAB_SAFE(__builtin_add_overflow(A, B, Result), Type, Result);                                        \
    }                                                                                                                  \
    FORCEINLINE NTSTATUS Rtl##Name##Sub(Type A, Type B, Type *Result)                                                  \
    {                                                                                                                  \
        return FLTLAB_SAFE(__builtin_sub_overflow(A, B, Result), Type, Result);                                        \
    }                                                                                                                  \
    FORCEINLINE NTSTATUS Rtl##Name##Mult(Type A, Type B, Type *Result)                                                 \
    {                                                                                                                  \
        return FLTLAB_SAFE(__builtin_mul_overflow(A, B, Result), Type, Result);                                        \
    }

#define FLTLAB_SAFE_CONVERSION(Target, TargetType, Source, SourceType)                                                 \
    FORCEINLINE NTSTATUS Rtl##Source##To##Target(SourceType Value, TargetType *Result)                                 \
    {                                                                                                                  \
        return FLTLAB_SAFE(__builtin_add_overflow(Value, (SourceType)0, Result), TargetType, Result);                  \
    }

#define FLTLAB_SAFE_TO_ALL(Name, Type)                                                                                 \
    FLTLAB_SAFE_CONVERSION(Int8, INT8, Name, Type)                                                                     \
    FLTLAB_SAFE_CONVERSION(UInt8, UINT8, Name, Type)                                                                   \
    FLTLAB_SAFE_CONVERSION(Short, SHORT, Name, Type)                                                                   \
    FLTLAB_SAFE_CONVERSION(UShort, USHORT, Name, Type)                                                                 \
    FLTLAB_SAFE_CONVERSION(Int, int, Name, Type)                                                                       \
    FLTLAB_SAFE_CONVERSION(UInt, unsigned int, Name, Type)                                                             \
    FLTLAB_SAFE_CONVERSION(Long, LONG, Name, Type)                                                                     \
    FLTLAB_SAFE_CONVERSION(ULong, ULONG, Name, Type)                                                                   \
    FLTLAB_SAFE_CONVERSION(IntPtr, INT_PTR, Name, Type)                                                                \
    FLTLAB_SAFE_CONVERSION(UIntPtr, UINT_PTR, Name, Type)                                                              \
    FLTLAB_SAFE_CONVERSION(LongPtr, LONG_PTR, Name, Type)                                                              \
    FLTLAB_SAFE_CONVERSION(ULongPtr, ULONG_PTR, Name, Type)                                                            \
    FLTLAB_SAFE_CONVERSION(LongLong, LONGLONG, Name, Type)                                                             \
    FLTLAB_SAFE_CONVERSION(ULongLong, ULONGLONG, Name, Type)                                                           \
    FLTLAB_SAFE_CONVERSION(SizeT, SIZE_T, Name, Type)

FLTLAB_SAFE_ARITHMETIC(Int8, INT8)
FLTLAB_SAFE_ARITHMETIC(UInt8, UINT8)
FLTLAB_SAFE_ARITHMETIC(Short, SHORT)
FLTLAB_SAFE_ARITHMETIC(UShort, USHORT)
FLTLAB_SAFE_ARITHMETIC(Int, int)
FLTLAB_SAFE_ARITHMETIC(UInt, unsigned int)
FLTLAB_SAFE_ARITHMETIC(Long, LONG)
FLTLAB_SAFE_ARITHMETIC(ULong, ULONG)
FLTLAB_SAFE_ARITHMETIC(IntPtr, INT_PTR)
FLTLAB_SAFE_ARITHMETIC(UIntPtr, UINT_PTR)
FLTLAB_SAFE_ARITHMETIC(LongPtr, LONG_PTR)
FLTLAB_SAFE_ARITHMETIC(ULongPtr, ULONG_PTR)
FLTLAB_SAFE_ARITHMETIC(LongLong, LONGLONG)
FLTLAB_SAFE_ARITHMETIC(ULongLong, ULONGLONG)
FLTLAB_SAFE_ARITHMETIC(SizeT, SIZE_T)

FLTLAB_SAFE_TO_ALL(Int8, INT8)
FLTLAB_SAFE_TO_ALL(UInt8, UINT8)
FLTLAB_SAFE_TO_ALL(Short, SHORT)
FLTLAB_SAFE_TO_ALL(UShort, USHORT)
FLTLAB_SAFE_TO_ALL(Int, int)
FLTLAB_SAFE_TO_ALL(UInt, unsigned int)
FLTLAB_SAFE_TO_ALL(Long, LONG)
FLTLAB_SAFE_TO_ALL(ULong, ULONG)
FLTLAB_SAFE_TO_ALL(IntPtr, INT_PTR)
FLTLAB_SAFE_TO_ALL(UIntPtr, UINT_PTR)
FLTLAB_SAFE_TO_ALL(LongPtr, LONG_PTR)
FLTLAB_SAFE_TO_ALL(ULongPtr, ULONG_PTR)
FLTLAB_SAFE_TO_ALL(LongLong, LONGLONG)
FLTLAB_SAFE_TO_ALL(ULongLong, ULONGLONG)
FLTLAB_SAFE_TO_ALL(SizeT, SIZE_T)

#undef FLTLAB_SAFE_TO_ALL
#undef FLTLAB_SAFE_CONVERSION
#undef FLTLAB_SAFE_ARITHMETIC
#undef FLTLAB_SAFE

#endif /* NTINTSAFE_H */
