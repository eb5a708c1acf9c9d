"""The commands that register a minifilter, as they are written into a batch file."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import ConfigurationError
from harness.guest.registration import DriverOptions, quoted, register, trust
from harness.guest.stack import parse_stack, place
from harness.reference.guestd.words import split

SERVICE = r"HKLM\SYSTEM\CurrentControlSet\Services\fltlab-one"


def commands(**options) -> list[str]:
    (entry,) = place(parse_stack("pending@one#370100.5"))
    return register(entry, "FSFilter Activity Monitor", DriverOptions(**options))


def test_a_service_of_a_minifilter_waits_to_be_loaded_and_depends_on_the_filter_manager():
    (create,) = [line for line in commands() if line.startswith("sc.exe")]

    assert create == (
        r"sc.exe create fltlab-one type= filesys start= demand error= normal "
        r'binPath= \SystemRoot\System32\drivers\fltlab-one.sys group= "FSFilter Activity Monitor" depend= FltMgr'
    )


@pytest.mark.parametrize("layout", ["Instances", r"Parameters\Instances"])
def test_each_layout_has_the_same_instance_that_never_attaches_by_itself(layout: str):
    written = commands()

    for line in (
        rf'reg.exe add "{SERVICE}\{layout}" /v DefaultInstance /t REG_SZ /d "fltlab-one" /f',
        rf'reg.exe add "{SERVICE}\{layout}\fltlab-one" /v Altitude /t REG_SZ /d "370100.5" /f',
        rf'reg.exe add "{SERVICE}\{layout}\fltlab-one" /v Flags /t REG_DWORD /d "1" /f',
    ):
        assert line in written


def test_the_features_it_supports_are_in_both_layouts():
    for key in (SERVICE, rf"{SERVICE}\Parameters"):
        assert rf'reg.exe add "{key}" /v SupportedFeatures /t REG_DWORD /d "3" /f' in commands()


def test_what_a_driver_reads_from_its_parameters_is_written_and_what_is_left_open_is_not():
    written = commands(operations=("create pre post", "read pre"), contexts=(), event_capacity=64)
    parameters = [line for line in written if rf'"{SERVICE}\Parameters"' in line and "SupportedFeatures" not in line]

    assert parameters == [
        rf'reg.exe add "{SERVICE}\Parameters" /v Operations /t REG_MULTI_SZ /d "create pre post\0read pre" /f',
        rf'reg.exe add "{SERVICE}\Parameters" /v Contexts /t REG_MULTI_SZ /d "" /f',
        rf'reg.exe add "{SERVICE}\Parameters" /v EventCapacity /t REG_DWORD /d "64" /f',
    ]


def test_a_certificate_goes_into_both_stores_that_windows_asks():
    assert trust([r"C:\fltlab\a b.cer"]) == [
        r'certutil.exe -f -addstore Root "C:\fltlab\a b.cer"',
        r'certutil.exe -f -addstore TrustedPublisher "C:\fltlab\a b.cer"',
    ]


@pytest.mark.parametrize("word", ['a"&b', "a\nb", "a\r", "\0"])
def test_a_word_that_would_end_its_quotes_is_refused(word: str):
    with pytest.raises(ConfigurationError, match="cannot stand in a command line"):
        quoted(word)


def test_a_driver_captures_prints_only_where_it_is_told_to():
    (entry,) = place(parse_stack("pending@one#370100.5"))
    line = rf'reg.exe add "{SERVICE}\Parameters" /v CapturePrints /t REG_DWORD /d "1" /f'

    assert line in register(entry, "FSFilter Activity Monitor", DriverOptions(), captures_prints=True)
    assert line not in commands()


@given(st.lists(st.text(alphabet='a b\\"0%', max_size=12), max_size=4))
def test_what_is_quoted_comes_out_as_it_went_in(words: list[str]):
    assert split(" ".join(["reg.exe", *map(quoted, words)])) == ["reg.exe", *words]


@given(st.text(alphabet='a\\"&|<>^\n', max_size=8))
def test_what_cmd_would_act_on_is_refused(word: str):
    assume("\n" in word or ('"' in word and re.search("[&|<>^]", word)))

    with pytest.raises(ConfigurationError, match="cannot stand in a command line"):
        quoted(word)
