"""Contexts: how long they live, and what setting them again does."""

import pytest

pytestmark = pytest.mark.stack("observer@above", "services", "observer@below")


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("contexts.bin", length=512, fill=0x5A)


@pytest.mark.rule("CTX-04")
def test_a_stream_handle_has_no_context_before_its_create_is_finished(lab, said):
    lab.io(r"open f V:\contexts.bin access=read")

    asked = [line.partition(": ")[::2] for line in said()[:2]]
    assert [what for what, _ in asked] == ["get in pre-create", "set in pre-create"]
    assert {status for _, status in asked} <= {"NOT_SUPPORTED", "NOT_FOUND"}


@pytest.mark.rule("CTX-09")
def test_only_a_context_of_a_declared_type_and_size_is_allocated(lab, said):
    lab.io(r"open f V:\contexts.bin access=read")

    assert "undeclared: FLT_CONTEXT_ALLOCATION_NOT_FOUND" in said()
    assert "of another size: FLT_CONTEXT_ALLOCATION_NOT_FOUND" in said()


@pytest.mark.rule("CTX-07")
def test_an_object_has_one_context_of_an_instance(lab, said):
    lab.io(r"open f V:\contexts.bin access=read")

    assert [line for line in said() if line.startswith(("keep", "replace"))] == [
        "keep 1: SUCCESS, old 0",
        "keep 2: FLT_CONTEXT_ALREADY_DEFINED, old 1",
        "replace 2: SUCCESS, old 1",
        "replace 2: FLT_CONTEXT_ALREADY_LINKED, old 0",
    ]


@pytest.mark.rule("CTX-05")
def test_the_last_release_of_a_context_calls_its_cleanup(lab, said):
    lab.io(r"open f V:\contexts.bin access=read")

    lines = said()
    start = lines.index("releasing context 1")
    assert lines[start : start + 3] == ["releasing context 1", "cleanup of context 1", "released context 1"]
    assert "cleanup of context 2" not in lines[: start + 3]


@pytest.mark.rule("CTX-08")
def test_contexts_go_with_their_objects(lab, said):
    lab.io(r"""
        open    f V:\contexts.bin access=read
        close   f
        sleep   100
        detach  services
        sleep   100
    """)

    lines = said()
    assert lines.count("cleanup of context 2") == 1  # with the file object
    gone = lines.index("teardown is complete")
    assert "cleanup of context 2" in lines[:gone]
    assert lines[gone + 1 :] == ["cleanup of context 3"]  # with the instance
