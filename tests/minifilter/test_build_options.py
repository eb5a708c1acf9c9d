"""Building from an author's own sources: C++, projects of Visual Studio, headers of any case, no stale builds."""

import subprocess
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.minifilter.build import build_drivers
from harness.minifilter.image_imports import imports_of
from harness.minifilter.objects import parse_dependencies
from harness.minifilter.package import load_package
from harness.minifilter.toolchain import find_toolchain
from harness.minifilter.vcxproj import read_project

PROJECT = r"""<?xml version="1.0" encoding="utf-8"?>
<Project ToolsVersion="12.0" xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <ItemGroup Label="ProjectConfigurations">
    <ProjectConfiguration Include="Debug|x64"><Configuration>Debug</Configuration></ProjectConfiguration>
    <ProjectConfiguration Include="Release|x64"><Configuration>Release</Configuration></ProjectConfiguration>
  </ItemGroup>
  <PropertyGroup><TargetName>Shelter</TargetName></PropertyGroup>
  <ItemDefinitionGroup Condition="'$(Configuration)|$(Platform)'=='Debug|x64'">
    <ClCompile><PreprocessorDefinitions>ONLY_DEBUG</PreprocessorDefinitions></ClCompile>
  </ItemDefinitionGroup>
  <ItemDefinitionGroup>
    <ClCompile>
      <AdditionalIncludeDirectories>%(AdditionalIncludeDirectories);$(ProjectDir)\Inc;..\nothere</AdditionalIncludeDirectories>
      <PreprocessorDefinitions>%(PreprocessorDefinitions);SHELTER=1</PreprocessorDefinitions>
      <AdditionalOptions>/d1something</AdditionalOptions>
    </ClCompile>
    <Link>
      <AdditionalDependencies>$(DDK_LIB_PATH)\fltMgr.lib;$(DDK_LIB_PATH)\ksecdd.lib;Odd.lib</AdditionalDependencies>
    </Link>
  </ItemDefinitionGroup>
  <ItemGroup>
    <ClCompile Include="Src\main.cpp" /><ClCompile Include="src\io\main.cpp" />
    <ClCompile Include="src\unused.c"><ExcludedFromBuild>true</ExcludedFromBuild></ClCompile>
  </ItemGroup>
  <ItemGroup><Inf Include="Shelter.inf" /></ItemGroup>
</Project>
"""
FILES = {
    "inc/Base.h": """
#pragma once
#include <FltKernel.h>
#include <NtStrSafe.h>
struct Base { virtual ~Base() {} virtual NTSTATUS Start() = 0; };
struct Derived : Base { PFLT_FILTER Filter = nullptr; NTSTATUS Start() override; };
void *operator new(size_t Size, POOL_TYPE Type);
void operator delete(void *Pointer, size_t) noexcept;
extern PDRIVER_OBJECT TheDriver;
""",
    "src/main.cpp": """
#include "base.h"
#include <bcrypt.h>
#include <initguid.h>
extern "C" DRIVER_INITIALIZE DriverEntry;
static Base *Instance;
PDRIVER_OBJECT TheDriver;
void *operator new(size_t Size, POOL_TYPE Type) { return ExAllocatePoolZero(Type, Size, 'ppCL'); }
void operator delete(void *Pointer, size_t) noexcept { ExFreePool(Pointer); }
#if SHELTER && !defined(ONLY_DEBUG)
extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING)
{
    GUID Ecp = GUID_ECP_PREFETCH_OPEN;
    UCHAR Random[4];

    TheDriver = DriverObject;
    Instance = new (NonPagedPoolNx) Derived;
    if (Instance == nullptr || Ecp.Data1 == 0) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    BCryptGenRandom(nullptr, Random, sizeof(Random), BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    return Instance->Start();
}
#endif
""",
    "src/io/main.cpp": r"""
#include "..\..\INC\base.h"
NTSTATUS Derived::Start()
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, nullptr, Operations};

    return FltRegisterFilter(TheDriver, &Registration, &Filter);
}
""",
    "shelter.inf": "; as it came\n",
}
HIDER = {
    "hider/hider.vcxproj": r"""<Project>
  <ItemDefinitionGroup><ClCompile>
    <AdditionalIncludeDirectories>..\strings</AdditionalIncludeDirectories>
    <ForcedIncludeFiles>first.h</ForcedIncludeFiles>
  </ClCompile></ItemDefinitionGroup>
  <ItemGroup><ClCompile Include="main.cpp" /></ItemGroup>
  <ItemGroup>
    <ProjectReference Include="..\Strings\strings.vcxproj" />
    <ProjectReference Include="..\client\client.vcxproj" />
  </ItemGroup>
</Project>""",
    "strings/strings.vcxproj": r"""<Project>
  <PropertyGroup><ConfigurationType>StaticLibrary</ConfigurationType></PropertyGroup>
  <ItemGroup><ClCompile Include="text.cpp" /></ItemGroup>
  <ItemGroup><ProjectReference Include="..\hider\hider.vcxproj" /></ItemGroup>
</Project>""",
    "client/client.vcxproj": r"""<Project>
  <PropertyGroup><ConfigurationType>Application</ConfigurationType></PropertyGroup>
  <ItemGroup><ClCompile Include="client.cpp" /></ItemGroup>
</Project>""",
    "hider/first.h": "#include <fltKernel.h>\n",
    "strings/text.h": "bool Same(PCUNICODE_STRING A, PCWSTR B);\n",
    "strings/text.cpp": """
#include <ntifs.h>
#include "text.h"
bool Same(PCUNICODE_STRING A, PCWSTR B)
{
    UNICODE_STRING Other;
    RtlInitUnicodeString(&Other, B);
    return RtlEqualUnicodeString(A, &Other, TRUE);
}
int Sum(int A)
{
    int Result = 0;
    if (A > 3) {
        goto Out; /* past a variable, as Microsoft's compiler allows: clang 19 crashes with asynchronous exceptions */
    }
    int Next = A + 5;
    Result = A * Next;
Out:
    return Result;
}
""",
    "hider/main.cpp": """
#include <text.h>
enum class Asked { Nothing = 0, Names = 1, Data = 2 };
DEFINE_ENUM_FLAG_OPERATORS(Asked);
#define IOCTL_HIDE CTL_CODE(0x8001, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING RegistryPath)
{
    static const FILE_INFORMATION_DEFINITION Kinds[] = {FileBothDirectoryInformationDefinition,
                                                        FileIdExtdBothDirectoryInformationDefinition};
    auto Wanted = Asked::Names;
    ULONG Code = RegistryPath->MaximumLength;

    Wanted |= Asked::Data;
    switch (Code) {
    case IOCTL_HIDE:
        return STATUS_NOT_SUPPORTED;
    }
    // The offset of the name is where that of its length should be, as in the kit.
    if (Kinds[0].FileNameLengthOffset <= Kinds[0].FileNameOffset || (Wanted & ~Asked::Data) != Asked::Names) {
        return STATUS_INVALID_PARAMETER;
    }
    return Same(RegistryPath, L"") ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
""",
}
OWN_NAMES = """
#include <fltKernel.h>
#include <ntstrsafe.h>
#include <stdio.h>
typedef enum _SYSTEM_INFORMATION_CLASS { SystemBasicInformation, SystemMine = 11 } SYSTEM_INFORMATION_CLASS;
typedef NTSTATUS (*QUERY)(HANDLE, PROCESSINFOCLASS, PVOID, ULONG, PULONG);
QUERY ZwQueryInformationProcess;
extern CHAR *PsGetProcessImageFileName(PEPROCESS Process);
NTSTATUS NTAPI ZwQuerySystemInformation(SYSTEM_INFORMATION_CLASS, PVOID, ULONG, PULONG);
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"ZwQueryInformationProcess");
    WCHAR Text[32];
    DWORD Length = 0;

    ZwQueryInformationProcess = (QUERY)MmGetSystemRoutineAddress(&Name);
    swprintf(Text, L"%u", (ULONG)RegistryPath->Length);
    DbgPrint("%s %ws", PsGetProcessImageFileName(PsGetCurrentProcess()), Text);
    ZwQueryInformationProcess(NtCurrentProcess(), ProcessImageFileName, NULL, 0, &Length);
    return ZwQuerySystemInformation(SystemMine, DriverObject, 0, &Length);
}
"""
DRIVER = """
#include "shape.h"
PDRIVER_OBJECT Kept;
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static PDRIVER_OBJECT *Where = &Kept;
    double Half = SHAPE / 2.0;

    *(PDRIVER_OBJECT *volatile *)&Where = &Kept;
    **(PDRIVER_OBJECT *volatile *)&Where = DriverObject;
    return RegistryPath->Length > Half ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
"""


def package(root: Path, description: str, files: dict[str, str]) -> Path:
    for name, text in {"driver.yaml": description, **files}.items():
        path = root / "drivers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "drivers"


def test_a_project_of_visual_studio_is_built_as_it_is(tmp_path: Path) -> None:
    text = "name: shelter\ndescription: a framework in C++\nvcxproj: shelter.vcxproj\ncontrol: none\n"
    root = package(tmp_path, text, FILES | {"shelter.vcxproj": PROJECT})

    built = build_drivers(root, tmp_path / "out")["shelter"]

    assert built.sys.is_file()
    assert built.package.inf == Path("shelter.inf")


def test_a_project_of_a_program_is_built_as_one(tmp_path: Path) -> None:
    project = "<Project><PropertyGroup><ConfigurationType>Application</ConfigurationType></PropertyGroup>"
    project += r"""<ItemDefinitionGroup><Link><AdditionalDependencies>%(AdditionalDependencies);fltLib.lib
        </AdditionalDependencies></Link></ItemDefinitionGroup>
        <ItemGroup><ClCompile Include="told.c" /></ItemGroup></Project>"""
    program = '#include <stdio.h>\nint main(void) { return puts("ready"); }\n'
    files = {"told.c": program, "told.vcxproj": project}
    root = package(tmp_path, "name: told\ndescription: x\nkind: program\nvcxproj: told.vcxproj\n", files)

    assert build_drivers(root, tmp_path / "out")["told"].sys.name == "told.exe"

    (root / "driver.yaml").write_text("name: told\ndescription: x\nvcxproj: told.vcxproj\n")
    with pytest.raises(ConfigurationError, match=r"told\.vcxproj builds no driver \(Application\)"):
        load_package(root / "driver.yaml")


def test_a_static_library_that_a_project_refers_to_is_built_with_it(tmp_path: Path) -> None:
    text = "name: hider\ndescription: C++ over a library\nvcxproj: hider/hider.vcxproj\ncontrol: none\n"
    root = package(tmp_path, text, HIDER)

    built = build_drivers(root, tmp_path / "out")["hider"]

    assert built.sys.is_file()
    assert built.package.sources == (Path("hider/main.cpp"), Path("hider/../strings/text.cpp"))


def test_what_a_driver_declares_itself_is_its_own(tmp_path: Path) -> None:
    text = "name: asker\ndescription: undocumented calls\nsources: [asker.c]\ncontrol: none\n"
    root = package(tmp_path, text, {"asker.c": OWN_NAMES})

    built = build_drivers(root, tmp_path / "out")["asker"]

    names = {item.name for item in imports_of(built.sys)}
    assert {"PsGetProcessImageFileName", "ZwQuerySystemInformation", "swprintf"} <= names
    assert "ZwQueryInformationProcess" not in names


def test_what_a_project_says_and_our_build_does_not_is_listed(tmp_path: Path) -> None:
    root = package(tmp_path, "", FILES | {"shelter.vcxproj": PROJECT})

    project = read_project(root / "shelter.vcxproj")

    assert project.ignored == ("library odd.lib", "ClCompile/AdditionalOptions: /d1something")
    assert project.sources == (Path("src/main.cpp"), Path("src/io/main.cpp"))
    assert project.defines == ("SHELTER=1",)


def test_items_of_a_project_may_be_patterns_and_lists(tmp_path: Path) -> None:
    for name in ("setup/Other.inf", "setup/Watch.INF", "src/a.c", "src/deep/B.C", "src/left.c", "src/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "watch.vcxproj").write_text(
        r"""<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003"><ItemGroup>
        <ClCompile Include="..\SRC\**\*.c;..\src\notes.txt" Exclude="@(ClCompile);..\src\left.c" />
        <Inf Exclude="@(Inf)" Include="*.inf" /><Inf Include="..\setup\*.inf" /></ItemGroup></Project>"""
    )

    project = read_project(tmp_path / "project" / "watch.vcxproj")

    assert project.sources == (Path("../src/a.c"), Path("../src/deep/B.C"))
    assert project.inf == Path("../setup/Watch.INF")


def test_an_inf_of_the_projects_name_may_lie_above_its_folder(tmp_path: Path) -> None:
    (tmp_path / "filter").mkdir()
    for name in ("another.inf", "Watch.inf", "filter/a.c"):
        (tmp_path / name).touch()
    (tmp_path / "filter" / "watch.vcxproj").write_text(
        '<Project><ItemGroup><ClCompile Include="a.c" /><Inf Include="*.inf" /></ItemGroup></Project>'
    )

    assert read_project(tmp_path / "filter" / "watch.vcxproj").inf == Path("../Watch.inf")


@pytest.mark.parametrize(
    ("content", "message"),
    [("<Project", "is no Visual Studio project"), ("<Project/>", "names no source in C or C")],
)
def test_a_project_that_cannot_be_built_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.vcxproj").write_text(content)

    with pytest.raises(ConfigurationError, match=message):
        read_project(tmp_path / "x.vcxproj")


def test_a_changed_header_in_any_directory_makes_the_build_anew(tmp_path: Path) -> None:
    text = "name: shape\ndescription: x\nsources: [shape.c]\ninclude: [headers]\nfloating_point: true\ncontrol: none\n"
    files = {"shape.c": DRIVER, "headers/Shape.h": "#include <ntddk.h>\n#define SHAPE 4\n"}
    root = package(tmp_path, text, files)
    first = build_drivers(root, tmp_path / "out")["shape"].sha256

    unchanged = build_drivers(root, tmp_path / "out")["shape"].sha256
    (root / "headers" / "Shape.h").write_text("#include <ntddk.h>\n#define SHAPE 40\n")
    changed = build_drivers(root, tmp_path / "out")["shape"].sha256

    assert (first == unchanged, first == changed) == (True, False)


def test_a_driver_may_have_a_runtime_of_its_own_and_name_its_guids_at_any_place(tmp_path: Path) -> None:
    text = "name: own\ndescription: x\nsources: [own.cpp, guid.c]\ncontrol: none\n"
    source = '#include <ntifs.h>\nextern "C" { int _fltused = 1; int __cdecl _purecall() { return 0; }\n'
    source += "extern const GUID GUID_OWN; extern const GUID GUID_ECP_CREATE_REDIRECTION;\n"
    source += "NTSTATUS DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING)\n"
    source += "{ return GUID_OWN.Data1 == GUID_ECP_CREATE_REDIRECTION.Data1 ? _purecall() : 1; } }\n"
    guid = "#define INITGUID\n#include <ntifs.h>\nDEFINE_GUID(GUID_OWN, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);\n"

    root = package(tmp_path, text, {"own.cpp": source, "guid.c": guid})

    assert build_drivers(root, tmp_path / "out")["own"].sys.is_file()


def test_parameters_may_be_of_other_types_than_declared_as_microsofts_compiler_takes_it(tmp_path: Path) -> None:
    text = "name: typed\ndescription: x\nsources: [typed.c, use.c]\ncontrol: none\n"
    header = "#include <fltkernel.h>\nVOID Freed(PVOID Context, FLT_CONTEXT_TYPE Type);\nLONG Count(PVOID Context);\n"
    header += "static LONG Twice(PVOID Context);\n"
    source = '#include "typed.h"\ntypedef struct { LONG Count; TCHAR Name[4]; } KEPT;\n'
    source += "LONG Count(KEPT *Context) { return Twice(Context) / 2; }\n"
    source += "LONG Twice(KEPT *Context) { return 2 * Context->Count; }\n"
    source += "\nVOID\nFreed (KEPT *Context, FLT_CONTEXT_TYPE Type)\n{ Context->Count = Type + Count(Context); }\n"
    use = '#include "typed.h"\nNTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)\n'
    use += "{ Freed(Driver, 1); return Path->Length == Count(Driver) ? 0 : STATUS_UNSUCCESSFUL; }\n"
    root = package(tmp_path, text, {"typed.h": header, "typed.c": source, "use.c": use})

    assert build_drivers(root, tmp_path / "out")["typed"].sys.is_file()


def test_errors_come_before_warnings(tmp_path: Path) -> None:
    text = "name: wrong\ndescription: x\nsources: [wrong.c]\ncontrol: none\n"
    root = package(tmp_path, text, {"wrong.c": "#warning first\n#include <ntddk.h>\nint x = nothing;\n"})

    with pytest.raises(ConfigurationError) as caught:
        build_drivers(root, tmp_path / "out")

    assert "error: use of undeclared identifier 'nothing'" in caught.value.details[1]


def test_a_header_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    root = package(
        tmp_path, "name: x\ndescription: x\nsources: [x.c]\n", {"x.c": "#include <fltKernel.h>\n#include <wdf.h>\n"}
    )

    with pytest.raises(ConfigurationError, match=r"x\.c does not compile") as refused:
        build_drivers(root, tmp_path / "out")

    assert any("'wdf.h' file not found" in line for line in refused.value.details)
    assert "`include` of driver.yaml" in (refused.value.hint or "")


def test_an_include_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = package(tmp_path, "name: a\ndescription: x\nsources: [a.c]\ninclude: [gone]\ncontrol: none\n", {"a.c": ""})

    with pytest.raises(ConfigurationError, match="include directory gone"):
        build_drivers(root, tmp_path / "out")


def test_a_package_has_one_origin(tmp_path: Path) -> None:
    root = package(tmp_path, "name: a\ndescription: x\nsources: [a.c]\nvcxproj: a.vcxproj\ncontrol: none\n", {})

    with pytest.raises(ConfigurationError) as caught:
        load_package(root / "driver.yaml")

    assert "give either sources" in caught.value.details[0]


def test_names_with_blanks_in_a_make_rule_are_read(tmp_path: Path) -> None:
    (tmp_path / "a b.c").write_text('#include "c d.h"\n')
    (tmp_path / "c d.h").touch()
    clang = str(find_toolchain().clang)
    rule = subprocess.run([clang, "-M", "a b.c"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert list(parse_dependencies(rule, tmp_path)) == [tmp_path / "a b.c", tmp_path / "c d.h"]
