// driver.cpp: a filter of the framework with two policies.
#include "policies.hpp"

namespace {

class PolicyFilter final : public fx::Minifilter {
  public:
    NTSTATUS Start() noexcept override
    {
        policies_.Initialize();
        NTSTATUS status = policies_.Add<ReadOnlyPolicy>(L"record");

        if (NT_SUCCESS(status)) {
            status = policies_.Add<StreamPolicy>(L":Zone.Identifier");
        }
        if (!NT_SUCCESS(status)) {
            policies_.Clear();
        }
        return status;
    }

    void Stop() noexcept override { policies_.Clear(); }

    FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA data, PCFLT_RELATED_OBJECTS objects) noexcept override
    {
        const auto &create = data->Iopb->Parameters.Create;

        if (data->RequestorMode == KernelMode || FlagOn(objects->FileObject->Flags, FO_VOLUME_OPEN)) {
            return FLT_PREOP_SUCCESS_NO_CALLBACK;
        }
        const fx::FileName name(data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);

        if (!name) {
            return FLT_PREOP_SUCCESS_NO_CALLBACK;
        }
        const NTSTATUS status = policies_.Judge({create.SecurityContext->DesiredAccess, create.Options >> 24, name});

        if (NT_SUCCESS(status)) {
            return FLT_PREOP_SUCCESS_NO_CALLBACK;
        }
        data->IoStatus = {};
        data->IoStatus.Status = status;
        return FLT_PREOP_COMPLETE;
    }

  private:
    PolicyList policies_;
};

constinit PolicyFilter theFilter{};

}  // namespace

extern "C" NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT driver, _In_ PUNICODE_STRING registryPath)
{
    UNREFERENCED_PARAMETER(registryPath);
    return fx::Run(driver, theFilter);
}
