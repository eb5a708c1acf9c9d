"""Which instructions of an image are replaced, and which bytes only look like them."""

from harness.reference.machine.loader.patches import RANDOM, READ_IRQL, WRITE_IRQL, Patch, find_patches

READ_CR8 = bytes.fromhex("440f20c0")  # mov rax, cr8
WRITE_CR8 = bytes.fromhex("450f22c1")  # mov cr8, r9
RDRAND = bytes.fromhex("0fc7f1")  # rdrand ecx
RET = b"\xc3"
SEEMING = bytes.fromhex("e90fc7ffff")  # jmp, by a distance that looks like rdseed edi


def patches(code: bytes, functions: list[tuple[int, int, int]]) -> list[Patch]:
    return list(find_patches(code, [(0, len(code))], functions))


def test_what_unicorn_gets_wrong_becomes_an_interrupt_of_the_same_length():
    code = READ_CR8 + WRITE_CR8 + RDRAND + RET

    assert patches(code, [(0, len(code), 0)]) == [
        Patch(0, bytes((0xCD, READ_IRQL, 0x90, 0x90))),
        Patch(4, bytes((0xCD, WRITE_IRQL + 9, 0x90, 0x90))),
        Patch(8, bytes((0xCD, RANDOM + 1, 0x90))),
    ]


def test_a_write_of_another_control_register_or_a_model_specific_one_is_a_general_protection_fault():
    # mov cr0, rax; mov cr3, r9; mov cr4, rax with a REX.W; wrmsr
    code = bytes.fromhex("0f22c0 410f22d9 480f22e0 0f30") + RET

    assert patches(code, [(0, len(code), 0)]) == [
        Patch(0, bytes.fromhex("cd0d90")),
        Patch(3, bytes.fromhex("cd0d9090")),
        Patch(7, bytes.fromhex("cd0d9090")),
        Patch(11, bytes.fromhex("cd0d")),
    ]


def test_bytes_inside_of_another_instruction_stay_as_they_are():
    assert patches(SEEMING, [(0, len(SEEMING), 0)]) == []


def test_so_they_do_in_leaf_functions_which_the_function_table_does_not_have():
    function = RET.ljust(16, b"\xcc")
    leaf = (RDRAND + SEEMING).ljust(16, b"\xcc")
    code = function + leaf + function + leaf

    found = patches(code, [(0, 1, 0), (32, 33, 0)])

    assert [patch.address for patch in found] == [16, 48]


def test_an_image_without_a_function_table_is_searched_from_its_beginning():
    assert [patch.address for patch in patches(SEEMING + RDRAND + RET, [])] == [len(SEEMING)]
