#include "policies.hpp"

namespace {
constexpr ACCESS_MASK Changes = FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | GENERIC_WRITE | GENERIC_ALL;
}

void PolicyList::Initialize() noexcept
{
    InitializeListHead(&list_);
    lock_.Initialize();
}

void PolicyList::Insert(fx::Owned<Policy> policy) noexcept
{
    fx::Exclusive<fx::PushLock> inside(lock_);

    InsertTailList(&list_, &policy.Release()->Links);
}

void PolicyList::Clear() noexcept
{
    while (!IsListEmpty(&list_)) {
        fx::Owned<Policy> gone(CONTAINING_RECORD(RemoveHeadList(&list_), Policy, Links));

        DbgPrint("policy: %s refused %ld\n", gone->Title(), gone->Refusals);
    }
    lock_.Delete();
}

NTSTATUS PolicyList::Judge(const Opening &opening) noexcept
{
    fx::Shared<fx::PushLock> inside(lock_);

    for (PLIST_ENTRY entry = list_.Flink; entry != &list_; entry = entry->Flink) {
        Policy *policy = CONTAINING_RECORD(entry, Policy, Links);
        const NTSTATUS status = policy->Judge(opening);

        if (!NT_SUCCESS(status)) {
            InterlockedIncrement(&policy->Refusals);
            return status;
        }
    }
    return STATUS_SUCCESS;
}

NTSTATUS ReadOnlyPolicy::Judge(const Opening &opening) const noexcept
{
    const bool changes = FlagOn(opening.Access, Changes) || (opening.Disposition != FILE_OPEN &&
                                                             opening.Disposition != FILE_CREATE &&
                                                             opening.Disposition != FILE_OPEN_IF);

    return changes && opening.Disposition != FILE_CREATE &&
                   RtlEqualUnicodeString(&extension_, &opening.Name.Extension(), TRUE)
               ? STATUS_MEDIA_WRITE_PROTECTED
               : STATUS_SUCCESS;
}

NTSTATUS StreamPolicy::Judge(const Opening &opening) const noexcept
{
    return opening.Name.Stream().Length == 0 || RtlPrefixUnicodeString(&allowed_, &opening.Name.Stream(), TRUE)
               ? STATUS_SUCCESS
               : STATUS_OBJECT_NAME_INVALID;
}
