/*
 * lister.c: lists the minifilters, their instances and the volumes, as the tools beside a minifilter do.
 */

#include <windows.h>
#include <fltuser.h>
#include <stdio.h>

static union {
    FILTER_FULL_INFORMATION Full;
    FILTER_AGGREGATE_STANDARD_INFORMATION Aggregate;
    FILTER_VOLUME_BASIC_INFORMATION Volume;
    INSTANCE_FULL_INFORMATION Instance;
    BYTE Room[1024];
} Found;
static DWORD Length;

static WCHAR *
Part(USHORT Offset, USHORT Size)
{
    static WCHAR Texts[4][64];
    static int Next;
    WCHAR *Text = Texts[Next++ % 4];

    memcpy(Text, Found.Room + Offset, Size);
    Text[Size / sizeof(WCHAR)] = 0;
    return Text;
}

static void
ListInstances(LPCWSTR Volume)
{
    HANDLE Find;
    HRESULT Result =
        FilterVolumeInstanceFindFirst(Volume, InstanceFullInformation, &Found, sizeof(Found), &Length, &Find);

    while (Result == S_OK) {
        printf("  %ls of %ls at %ls\n",
               Part(Found.Instance.InstanceNameBufferOffset, Found.Instance.InstanceNameLength),
               Part(Found.Instance.FilterNameBufferOffset, Found.Instance.FilterNameLength),
               Part(Found.Instance.AltitudeBufferOffset, Found.Instance.AltitudeLength));
        Result = FilterVolumeInstanceFindNext(Find, InstanceFullInformation, &Found, sizeof(Found), &Length);
    }
    printf("  end %lx, %lx\n", Result, FilterVolumeInstanceFindClose(Find));
}

static void
ListVolumes(void)
{
    HANDLE Find;
    HRESULT Result = FilterVolumeFindFirst(FilterVolumeBasicInformation, &Found, sizeof(Found), &Length, &Find);
    WCHAR Name[64], Drive[16];

    while (Result == S_OK) {
        memcpy(Name, Found.Volume.FilterVolumeName, Found.Volume.FilterVolumeNameLength);
        Name[Found.Volume.FilterVolumeNameLength / sizeof(WCHAR)] = 0;
        if (FilterGetDosName(Name, Drive, 16) != S_OK) {
            Drive[0] = 0;
        }
        printf("%ls %ls\n", Drive, Name);
        ListInstances(Name);
        Result = FilterVolumeFindNext(Find, FilterVolumeBasicInformation, &Found, sizeof(Found), &Length);
    }
    printf("end %lx, %lx\n", Result, FilterVolumeFindClose(Find));
}

static void
ListFilters(void)
{
    HANDLE Find;
    HRESULT Result = FilterFindFirst(FilterFullInformation, &Found, sizeof(Found), &Length, &Find);

    while (Result == S_OK) {
        printf("%ls: %lu\n", Part(FIELD_OFFSET(FILTER_FULL_INFORMATION, FilterNameBuffer), Found.Full.FilterNameLength),
               Found.Full.NumberOfInstances);
        Result = FilterFindNext(Find, FilterFullInformation, &Found, sizeof(Found), &Length);
    }
    printf("end %lx, %lx\n", Result, FilterFindClose(Find));
}

static void
AskOne(LPCWSTR Name)
{
    HFILTER Filter;
    HFILTER_INSTANCE Instance;
    HANDLE Find;

    printf("no filter %lx\n", FilterCreate(L"none", &Filter));
    printf("create %lx\n", FilterCreate(Name, &Filter));
    printf("small %lx\n", FilterGetInformation(Filter, FilterFullInformation, &Found, 8, &Length));
    FilterGetInformation(Filter, FilterAggregateStandardInformation, &Found, sizeof(Found), &Length);
    printf("%lu %lu %ls\n", Found.Aggregate.Flags, Found.Aggregate.Type.MiniFilter.NumberOfInstances,
           Part(Found.Aggregate.Type.MiniFilter.FilterAltitudeBufferOffset,
                Found.Aggregate.Type.MiniFilter.FilterAltitudeLength));
    printf("close %lx\n", FilterClose(Filter));
    printf("instance %lx\n", FilterInstanceCreate(Name, L"V:", NULL, &Instance));
    FilterInstanceGetInformation(Instance, InstanceFullInformation, &Found, sizeof(Found), &Length);
    printf("%ls\n", Part(Found.Instance.VolumeNameBufferOffset, Found.Instance.VolumeNameLength));
    FilterInstanceClose(Instance);
    printf("none %lx\n",
           FilterInstanceFindFirst(L"none", InstanceFullInformation, &Found, sizeof(Found), &Length, &Find));
    printf("one %lx", FilterInstanceFindFirst(Name, InstanceFullInformation, &Found, sizeof(Found), &Length, &Find));
    printf(" %lx", FilterInstanceFindNext(Find, InstanceFullInformation, &Found, sizeof(Found), &Length));
    printf(" %lx\n", FilterInstanceFindClose(Find));
}

int
main(void)
{
    ListFilters();
    ListVolumes();
    AskOne(L"fltlab-observer");
    return 0;
}
