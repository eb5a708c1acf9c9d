// fx.hpp: what a C++ minifilter needs and no library gives it in the kernel: memory, locks, lists and names.
#pragma once

#include <fltKernel.h>

namespace fx {

constexpr ULONG PoolTag = 'xfCP';

enum class Pool { Paged, NonPaged };

}  // namespace fx

void *operator new(size_t size, fx::Pool pool) noexcept;
void *operator new[](size_t size, fx::Pool pool) noexcept;
inline void *operator new(size_t, void *where) noexcept { return where; }
void operator delete(void *memory) noexcept;
void operator delete(void *memory, size_t size) noexcept;
void operator delete[](void *memory) noexcept;
void operator delete[](void *memory, size_t size) noexcept;

namespace fx {

template <typename T> struct RemoveReference { using Type = T; };
template <typename T> struct RemoveReference<T &> { using Type = T; };
template <typename T> struct RemoveReference<T &&> { using Type = T; };
template <typename T> constexpr typename RemoveReference<T>::Type &&Move(T &&value) noexcept
{
    return static_cast<typename RemoveReference<T>::Type &&>(value);
}

// Owns what was made by new(Pool).
template <typename T> class Owned {
  public:
    constexpr Owned() noexcept = default;
    explicit Owned(T *pointer) noexcept : pointer_(pointer) {}
    Owned(Owned &&other) noexcept : pointer_(other.Release()) {}
    Owned(const Owned &) = delete;
    ~Owned() { delete pointer_; }

    Owned &operator=(Owned &&other) noexcept
    {
        if (this != &other) {
            delete pointer_;
            pointer_ = other.Release();
        }
        return *this;
    }
    Owned &operator=(const Owned &) = delete;

    T *operator->() const noexcept { return pointer_; }
    T *Get() const noexcept { return pointer_; }
    explicit operator bool() const noexcept { return pointer_ != nullptr; }
    T *Release() noexcept
    {
        T *pointer = pointer_;
        pointer_ = nullptr;
        return pointer;
    }

  private:
    T *pointer_ = nullptr;
};

// A push lock with two ways in. It has no constructor: static objects must not need one at run time.
class PushLock {
  public:
    void Initialize() noexcept { FltInitializePushLock(&lock_); }
    void Delete() noexcept { FltDeletePushLock(&lock_); }
    void Shared() noexcept { FltAcquirePushLockShared(&lock_); }
    void Exclusive() noexcept { FltAcquirePushLockExclusive(&lock_); }
    void Leave() noexcept { FltReleasePushLock(&lock_); }

  private:
    EX_PUSH_LOCK lock_;
};

class SpinLock {
  public:
    void Initialize() noexcept { KeInitializeSpinLock(&lock_); }
    void Exclusive() noexcept { KeAcquireSpinLock(&lock_, &irql_); }
    void Leave() noexcept { KeReleaseSpinLock(&lock_, irql_); }

  private:
    KSPIN_LOCK lock_;
    KIRQL irql_;
};

template <typename Lock, void (Lock::*Enter)() noexcept> class Guard {
  public:
    explicit Guard(Lock &lock) noexcept : lock_(lock) { (lock_.*Enter)(); }
    ~Guard() { lock_.Leave(); }
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;

  private:
    Lock &lock_;
};

template <typename Lock> using Exclusive = Guard<Lock, &Lock::Exclusive>;
template <typename Lock> using Shared = Guard<Lock, &Lock::Shared>;

// The name of what an operation is about, for as long as the object lives.
class FileName {
  public:
    FileName(PFLT_CALLBACK_DATA data, FLT_FILE_NAME_OPTIONS options) noexcept
    {
        if (!NT_SUCCESS(FltGetFileNameInformation(data, options, &information_))) {
            information_ = nullptr;
        } else if (!NT_SUCCESS(FltParseFileNameInformation(information_))) {
            FltReleaseFileNameInformation(information_);
            information_ = nullptr;
        }
    }
    ~FileName()
    {
        if (information_ != nullptr) {
            FltReleaseFileNameInformation(information_);
        }
    }
    FileName(const FileName &) = delete;
    FileName &operator=(const FileName &) = delete;

    explicit operator bool() const noexcept { return information_ != nullptr; }
    const UNICODE_STRING &Extension() const noexcept { return information_->Extension; }
    const UNICODE_STRING &Stream() const noexcept { return information_->Stream; }

  private:
    PFLT_FILE_NAME_INFORMATION information_ = nullptr;
};

// What a minifilter does; the framework's callbacks call it.
class Minifilter {
  public:
    virtual NTSTATUS Start() noexcept = 0;
    virtual void Stop() noexcept = 0;
    virtual FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS objects) noexcept = 0;

  protected:
    ~Minifilter() = default;
};

NTSTATUS Run(PDRIVER_OBJECT driver, Minifilter &minifilter) noexcept;

}  // namespace fx
