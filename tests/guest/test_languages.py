"""What Windows prints in other languages than English is read as in English.

The tables are made by hand, after Microsoft's public documentation in these languages and what is known of the English
ones: no Windows has printed them here. Where a real one prints something else, its raw text belongs here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from harness.errors import GuestError
from harness.guest.verifier import parse_settings
from harness.guest.words import LANGUAGES, boot_options, build_of, is_yes
from harness.minifilter.fltmc import FilterRow, InstanceRow, parse_failure, parse_filters, parse_instances


@dataclass(frozen=True)
class Words:
    """One language: the word in `ver`, yes, no, fltmc's headings, its failure, and verifier's first line."""

    version: str
    yes: str
    no: str
    filters: tuple[str, str, str, str]
    instances: tuple[str, str, str, str, str]
    load_failed: str
    flags: str


TABLES: Mapping[str, Words] = {
    "en": Words(
        *("Version", "Yes", "No", ("Filter Name", "Num Instances", "Altitude", "Frame")),
        ("Filter", "Volume Name", "Altitude", "Instance Name", "Frame"),
        *("Load failed with error:", "Verifier Flags:"),
    ),
    "de": Words(
        *("Version", "Ja", "Nein", ("Filtername", "Instanzen", "Höhe", "Rahmen")),
        ("Filter", "Volumename", "Höhe", "Instanzname", "Rahmen"),
        *("Fehler beim Laden:", "Überprüfungskennzeichen:"),
    ),
    "fr": Words(
        *("version", "Oui", "Non", ("Nom du filtre", "Nb instances", "Altitude", "Cadre")),
        ("Filtre", "Nom de volume", "Altitude", "Nom de l'instance", "Cadre"),
        *("Le chargement a échoué avec l'erreur :", "Indicateurs du vérificateur :"),
    ),
    "es": Words(
        *("Versión", "Sí", "No", ("Nombre de filtro", "Instancias", "Altitud", "Marco")),
        ("Filtro", "Nombre del volumen", "Altitud", "Nombre de instancia", "Marco"),
        *("Error al cargar:", "Marcas del comprobador:"),
    ),
    "pt": Words(
        *("versão", "Sim", "Não", ("Nome do Filtro", "Instâncias", "Altitude", "Quadro")),
        ("Filtro", "Nome do Volume", "Altitude", "Nome da Instância", "Quadro"),
        *("Falha no carregamento com o erro:", "Sinalizadores do Verificador:"),
    ),
    "it": Words(
        *("Versione", "Sì", "No", ("Nome filtro", "Num. istanze", "Altitudine", "Frame")),
        ("Filtro", "Nome volume", "Altitudine", "Nome istanza", "Frame"),
        *("Caricamento non riuscito. Errore:", "Flag Verifier:"),
    ),
    "ja": Words(
        *("Version", "はい", "いいえ", ("フィルター名", "インスタンス数", "高度", "フレーム")),
        ("フィルター", "ボリューム名", "高度", "インスタンス名", "フレーム"),
        *("読み込みに失敗しました。エラー:", "検証ツール フラグ:"),
    ),
    "zh": Words(
        *("版本", "是", "否", ("筛选器名称", "数字实例", "高度", "框架")),
        ("筛选器", "卷名", "高度", "实例名称", "框架"),
        *("加载失败，出现错误:", "验证程序标志："),  # noqa: RUF001 - marks of this language
    ),
    "ru": Words(
        *("Version", "Да", "Нет", ("Имя фильтра", "Экземпляры", "Высота", "Кадр")),
        ("Фильтр", "Имя тома", "Высота", "Имя экземпляра", "Кадр"),
        *("Ошибка загрузки:", "Флаги проверки:"),
    ),
}
FILTERS = "{:<30}  {:>13}  {:^12}  {}\n------------------------------  -------------  ------------  -----\n"
INSTANCES = (
    "{:<20}  {:<37}  {:^12}  {:^22}  {}\n"
    "--------------------  -------------------------------------  ------------  ----------------------  -----\n"
)
each = pytest.mark.parametrize("words", TABLES.values(), ids=TABLES)


def test_every_language_that_is_known_has_a_table():
    assert list(TABLES) == list(LANGUAGES)


@each
def test_ver_names_the_build(words: Words):
    assert build_of(f"\r\nMicrosoft Windows [{words.version} 10.0.26100.1742]\r\n") == 26100
    assert build_of(f"Microsoft Windows [{words.version} 6.1.7601]") is None


@each
def test_bcdedit_says_yes_and_no(words: Words):
    text = f"Windows\r\n----\r\nidentifier              {{current}}\r\ntestsigning             {words.yes}\r\n"
    options = boot_options(f"{text}recoveryenabled         {words.no}\r\n")

    assert options["identifier"] == "{current}"
    assert is_yes(options["testsigning"])
    assert not is_yes(options["recoveryenabled"])


@each
def test_fltmc_prints_the_same_tables_under_other_headings(words: Words):
    filters = FILTERS.format(*words.filters) + f"{'WdFilter':<30}  {'5':>9}       {'328010':<13}  0\n"
    rows = f"{'WdFilter':<20}  {'C:':<37}  {'328010':^12}  {'WdFilter Instance':<22}  {'0':^5}\n"

    assert parse_filters(filters) == [FilterRow("WdFilter", 5, "328010", "0")]
    assert parse_instances(INSTANCES.format(*words.instances) + rows) == [
        InstanceRow("WdFilter", "C:", "328010", "WdFilter Instance", "0")
    ]


@each
def test_a_failure_is_told_by_its_code(words: Words):
    failure = parse_failure(f"\r\n{words.load_failed} 0x80070241\r\n…\r\n")

    assert failure is not None
    assert failure.code == 0x80070241


@each
def test_a_table_that_ends_in_a_failure_is_an_error_and_no_rows(words: Words):
    rows = f"{'WdFilter':<20}  {'C:':<37}  {'328010':^12}  {'WdFilter Instance':<22}  {'0':^5}\n"
    text = INSTANCES.format(*words.instances) + rows + f"\n{words.load_failed} 0x80070005\n"

    with pytest.raises(GuestError, match=r"`fltmc instances` failed: 0x80070005: Access is denied"):
        parse_instances(text)


@each
def test_driver_verifier_names_its_flags(words: Words):
    text = f"{words.flags} 0x001209bb\r\n\r\n    [X] 0x00000001 …\r\n    [ ] 0x00000004 …\r\n\r\n    mine.sys\r\n"
    settings = parse_settings(text.replace("\r\n", "\n"))

    assert settings.flags == 0x001209BB
    assert settings.drivers == {"mine.sys"}


def test_a_word_of_no_known_language_is_an_error_that_says_which_there_are():
    with pytest.raises(GuestError, match=r"'Kyllä' is neither yes nor no(.|\n)*en, de, fr"):
        is_yes("Kyllä")


def test_bcdedit_on_a_code_page_without_accents_is_understood():
    assert is_yes("Si")
    assert not is_yes("NAO")
