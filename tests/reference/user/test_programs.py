"""Programs run as machine code, with threads, memory, files and views of their own."""

from harness.wire import kernel as wire
from tests.reference.user.conftest import Compile, Machine

ACCESS_VIOLATION = 0xC0000005


def test_a_program_prints_and_its_return_value_is_its_exit_code(machine: Machine, compile_program: Compile):
    ended = machine.run(compile_program('NTSTATUS Main(void) { Print("hello"); return 7; }'))

    assert (ended.exit_code, ended.output, ended.remain) == (7, b"hello", [])


def test_standard_input_is_read_to_its_end(machine: Machine, compile_program: Compile):
    program = compile_program("""
        NTSTATUS Main(void)
        {
            HANDLE Input = ((PROBE_PEB *)NtCurrentTeb()->ProcessEnvironmentBlock)->ProcessParameters->StandardInput;
            IO_STATUS_BLOCK Block;
            char Buffer[5];

            for (;;) {
                NTSTATUS Status = NtReadFile(Input, NULL, NULL, NULL, &Block, Buffer, sizeof Buffer, NULL, NULL);
                if (Status < 0) {
                    return Status;
                }
                NtWriteFile(Output(), NULL, NULL, NULL, &Block, Buffer, (ULONG)Block.Information, NULL, NULL);
            }
        }
    """)

    ended = machine.run(program, b"twelve bytes")

    assert (ended.exit_code, ended.output) == (0xC000014B, b"twelve bytes")


def test_an_exception_that_nobody_handles_ends_the_process_and_not_the_kernel(
    machine: Machine, compile_program: Compile
):
    program = compile_program("NTSTATUS Main(void) { *(volatile int *)(ULONG_PTR)0x1234 = 1; return 0; }")

    assert machine.run(program).exit_code == ACCESS_VIOLATION
    assert machine.run(program).exit_code == ACCESS_VIOLATION


def test_kernel_memory_is_none_of_a_programs_business(machine: Machine, compile_program: Compile):
    program = compile_program("""
        NTSTATUS Main(void)
        {
            IO_STATUS_BLOCK Block;
            return NtWriteFile(Output(), NULL, NULL, NULL, &Block, (PVOID)0xFFFFB00000000000, 8, NULL, NULL);
        }
    """)

    assert machine.run(program).exit_code == ACCESS_VIOLATION


def test_the_last_thread_takes_the_process_with_it(machine: Machine, compile_program: Compile):
    program = compile_program("""
        static NTSTATUS NTAPI Other(PVOID Parameter)
        {
            LARGE_INTEGER Second;
            Second.QuadPart = -10000000;
            NtDelayExecution(FALSE, &Second);
            Print(Parameter);
            RtlExitUserThread(3);
            return 0;
        }
        NTSTATUS Main(void)
        {
            HANDLE Thread;
            RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, Other, "other", &Thread, NULL);
            Print("main ");
            RtlExitUserThread(1);
            return 0;
        }
    """)

    ended = machine.run(program)

    assert (ended.exit_code, ended.output) == (3, b"main other")


def test_terminating_the_process_ends_threads_that_wait(machine: Machine, compile_program: Compile):
    program = compile_program("""
        static NTSTATUS NTAPI Other(PVOID Event)
        {
            NtWaitForSingleObject(Event, FALSE, NULL);
            Print("woken");
            return 0;
        }
        NTSTATUS Main(void)
        {
            HANDLE Thread, Event;
            LARGE_INTEGER Tick;
            NtCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, 0, FALSE);
            RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, Other, Event, &Thread, NULL);
            Tick.QuadPart = -10000;
            NtDelayExecution(FALSE, &Tick);
            NtTerminateProcess(NtCurrentProcess(), 5);
            return 0;
        }
    """)

    ended = machine.run(program)

    assert (ended.exit_code, ended.output, ended.remain) == (5, b"", [])
    assert not machine.system.programs.running


def test_a_wait_for_a_thread_ends_with_it_or_with_its_timeout(machine: Machine, compile_program: Compile):
    program = compile_program("""
        static NTSTATUS NTAPI Other(PVOID Event)
        {
            NtWaitForSingleObject(Event, FALSE, NULL);
            return 0;
        }
        NTSTATUS Main(void)
        {
            HANDLE Thread, Event;
            LARGE_INTEGER Tick;
            Tick.QuadPart = -10000;
            NtCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, 0, FALSE);
            RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, Other, Event, &Thread, NULL);
            if (NtWaitForSingleObject(Thread, FALSE, &Tick) != STATUS_TIMEOUT) {
                return 1;
            }
            NtSetEvent(Event, NULL);
            return NtWaitForSingleObject(Thread, FALSE, NULL);
        }
    """)

    assert machine.run(program).exit_code == 0


def test_memory_is_zeroed_and_a_freed_page_is_gone(machine: Machine, compile_program: Compile):
    program = compile_program("""
        NTSYSAPI NTSTATUS NTAPI NtFreeVirtualMemory(HANDLE Process, PVOID *Base, PSIZE_T Size, ULONG Type);
        NTSTATUS Main(void)
        {
            PVOID Base = NULL;
            SIZE_T Size = 5000;
            volatile UCHAR *Bytes;
            if (NtAllocateVirtualMemory(NtCurrentProcess(), &Base, 0, &Size, 0x3000, PAGE_READWRITE) < 0) {
                return 1;
            }
            Bytes = Base;
            if (Size != 8192 || Bytes[8191] != 0) {
                return 2;
            }
            Bytes[8191] = 1;
            Size = 0;
            NtFreeVirtualMemory(NtCurrentProcess(), &Base, &Size, MEM_RELEASE);
            return Bytes[0];
        }
    """)

    assert machine.run(program).exit_code == ACCESS_VIOLATION


def test_nothing_of_an_ended_program_is_left(machine: Machine, compile_program: Compile):
    program = compile_program('NTSTATUS Main(void) { Print("x"); return 0; }')
    machine.run(program)
    system = machine.system
    before = (system.memory.tables.used, len(list(system.images)), len(system.processes.by_id), len(system.io.streams))

    for _ in range(5):
        machine.run(program)

    after = (system.memory.tables.used, len(list(system.images)), len(system.processes.by_id), len(system.io.streams))
    assert after[1:] == before[1:]
    # Page tables of addresses that are not used again stay: a few pages for each process, never its memory.
    assert after[0] - before[0] < 5 * 64 * 1024


def test_a_file_that_is_no_program_is_refused_by_name(machine: Machine, tmp_path):
    image = tmp_path / "text.exe"
    image.write_bytes(b"this is no image")

    answer = machine.host.answer(wire.Run(str(image)))

    assert isinstance(answer, wire.Refused)
    assert answer.ntstatus == 0xC000007B
    assert "text.exe" in answer.message


def test_a_file_is_asked_about_by_its_name(machine: Machine, compile_program: Compile):
    program = compile_program(r"""
        NTSYSAPI NTSTATUS NTAPI NtQueryAttributesFile(OBJECT_ATTRIBUTES *, PVOID);
        NTSYSAPI NTSTATUS NTAPI NtQueryInformationByName(OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, PVOID, ULONG, ULONG);
        static NTSTATUS Ask(PCWSTR Text, USHORT Length, int ByName)
        {
            UNICODE_STRING Name;
            OBJECT_ATTRIBUTES Attributes = { sizeof Attributes };
            IO_STATUS_BLOCK Block;
            unsigned char Data[72];

            Name.Length = Name.MaximumLength = Length;
            Name.Buffer = (PWSTR)Text;
            Attributes.ObjectName = &Name;
            return ByName ? NtQueryInformationByName(&Attributes, &Block, Data, sizeof Data, 68)
                          : NtQueryAttributesFile(&Attributes, Data);
        }
        NTSTATUS Main(void)
        {
            static const WCHAR Here[] = L"\\??\\V:\\", Gone[] = L"\\??\\V:\\gone";

            for (int ByName = 0; ByName < 2; ByName++) {
                if (Ask(Here, sizeof Here - 2, ByName) || Ask(Gone, sizeof Gone - 2, ByName) != (NTSTATUS)0xC0000034) {
                    return 1 + ByName;
                }
            }
            return 0;
        }
    """)

    assert machine.run(program).exit_code == 0
