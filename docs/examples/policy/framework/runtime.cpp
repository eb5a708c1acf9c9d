// runtime.cpp: the operators, and the C callbacks that lead to the one Minifilter object.
#include "fx.hpp"

void *operator new(size_t size, fx::Pool pool) noexcept
{
    return ExAllocatePool2(pool == fx::Pool::Paged ? POOL_FLAG_PAGED : POOL_FLAG_NON_PAGED, size, fx::PoolTag);
}

void *operator new[](size_t size, fx::Pool pool) noexcept { return operator new(size, pool); }

void operator delete(void *memory) noexcept
{
    if (memory != nullptr) {
        ExFreePoolWithTag(memory, fx::PoolTag);
    }
}

void operator delete(void *memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void *memory) noexcept { operator delete(memory); }
void operator delete[](void *memory, size_t) noexcept { operator delete(memory); }

// A pure virtual function that is called after all: nobody can go on.
extern "C" int __cdecl _purecall() { KeBugCheckEx(MANUALLY_INITIATED_CRASH, fx::PoolTag, 0, 0, 0); }

namespace fx {
namespace {

PFLT_FILTER filter;
Minifilter *running;

NTSTATUS FLTAPI Unload(FLT_FILTER_UNLOAD_FLAGS) noexcept
{
    FltUnregisterFilter(filter);
    running->Stop();
    return STATUS_SUCCESS;
}

NTSTATUS FLTAPI QueryTeardown(PCFLT_RELATED_OBJECTS, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS) noexcept
{
    return STATUS_SUCCESS;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI PreCreate(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS objects, PVOID *) noexcept
{
    return running->PreCreate(data, objects);
}

constexpr FLT_OPERATION_REGISTRATION operations[] = {{IRP_MJ_CREATE, 0, PreCreate, nullptr, nullptr},
                                                     {IRP_MJ_OPERATION_END}};

constexpr FLT_REGISTRATION registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = operations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

}  // namespace

NTSTATUS Run(PDRIVER_OBJECT driver, Minifilter &minifilter) noexcept
{
    NTSTATUS status = minifilter.Start();

    if (!NT_SUCCESS(status)) {
        return status;
    }
    running = &minifilter;
    status = FltRegisterFilter(driver, &registration, &filter);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(filter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(filter);
        }
    }
    if (!NT_SUCCESS(status)) {
        minifilter.Stop();
    }
    return status;
}

}  // namespace fx
