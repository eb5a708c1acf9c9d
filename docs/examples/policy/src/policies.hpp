// policies.hpp: a policy looks at an open and says whether it may go on.
#pragma once

#include "fx.hpp"

struct Opening {
    ACCESS_MASK Access;
    ULONG Disposition;
    const fx::FileName &Name;
};

class Policy {
  public:
    virtual ~Policy() = default;
    virtual NTSTATUS Judge(const Opening &opening) const noexcept = 0;
    virtual PCSTR Title() const noexcept = 0;

    LIST_ENTRY Links{};
    volatile LONG Refusals = 0;
};

// The policies in their order; the first that refuses decides.
class PolicyList {
  public:
    void Initialize() noexcept;
    void Clear() noexcept;
    template <typename Kind, typename... Arguments> NTSTATUS Add(Arguments... arguments) noexcept
    {
        fx::Owned<Policy> made(new (fx::Pool::Paged) Kind(arguments...));

        if (!made) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        Insert(fx::Move(made));
        return STATUS_SUCCESS;
    }
    NTSTATUS Judge(const Opening &opening) noexcept;

  private:
    void Insert(fx::Owned<Policy> policy) noexcept;

    LIST_ENTRY list_;
    fx::PushLock lock_;
};

// Files with an extension may be opened to read, and for nothing that changes their content.
class ReadOnlyPolicy final : public Policy {
  public:
    explicit ReadOnlyPolicy(PCWSTR extension) noexcept { RtlInitUnicodeString(&extension_, extension); }
    NTSTATUS Judge(const Opening &opening) const noexcept override;
    PCSTR Title() const noexcept override { return "read only"; }

  private:
    UNICODE_STRING extension_;
};

// No named streams, but for one.
class StreamPolicy final : public Policy {
  public:
    explicit StreamPolicy(PCWSTR allowed) noexcept { RtlInitUnicodeString(&allowed_, allowed); }
    NTSTATUS Judge(const Opening &opening) const noexcept override;
    PCSTR Title() const noexcept override { return "no streams"; }

  private:
    UNICODE_STRING allowed_;
};
