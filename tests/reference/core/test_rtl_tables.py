"""Generic tables, of both kinds: elements come in order, are found, and are freed."""

DRIVER = r"""
typedef struct { ULONG Key; ULONG Value; } ELEMENT;
static LONG Live;

static RTL_GENERIC_COMPARE_RESULTS NTAPI Compare(PVOID Table, PVOID First, PVOID Second)
{
    ULONG One = ((ELEMENT *)First)->Key, Other = ((ELEMENT *)Second)->Key;
    UNREFERENCED_PARAMETER(Table);
    return One < Other ? GenericLessThan : One > Other ? GenericGreaterThan : GenericEqual;
}

static PVOID NTAPI Allocate(PVOID Table, CLONG Size)
{
    UNREFERENCED_PARAMETER(Table);
    Live++;
    return ExAllocatePoolWithTag(NonPagedPoolNx, Size, TAG);
}

static VOID NTAPI Free(PVOID Table, PVOID Buffer)
{
    UNREFERENCED_PARAMETER(Table);
    Live--;
    ExFreePoolWithTag(Buffer, TAG);
}

static ULONG Key(ULONG Index) { return Index * 37 % 101; }

#define TEST(Suffix, TABLE, Mark)                                                                                     \
    EXPORT ULONG Table##Suffix(void)                                                                                  \
    {                                                                                                                 \
        TABLE Table;                                                                                                  \
        ELEMENT Element = { 0, 0 }, *Found;                                                                           \
        PVOID Restart = NULL, Place;                                                                                  \
        TABLE_SEARCH_RESULT Result;                                                                                   \
        BOOLEAN New;                                                                                                  \
        ULONG Index, Last = 0, Seen = 0;                                                                              \
        RtlInitializeGenericTable##Suffix(&Table, (Mark)Compare, (PVOID)Allocate, (PVOID)Free, NULL);               \
        CHECK(RtlIsGenericTableEmpty##Suffix(&Table));                                                                \
        for (Index = 1; Index <= 40; Index++) {                                                                      \
            Element.Key = Key(Index);                                                                                 \
            Element.Value = Index;                                                                                    \
            Found = RtlInsertElementGenericTable##Suffix(&Table, &Element, sizeof(Element), &New);                    \
            CHECK(Found != NULL && New && Found->Value == Index);                                                     \
        }                                                                                                             \
        CHECK(RtlNumberGenericTableElements##Suffix(&Table) == 40 && Live == 40);                                   \
        Element.Key = Key(5);                                                                                         \
        Found = RtlInsertElementGenericTable##Suffix(&Table, &Element, sizeof(Element), &New);                        \
        CHECK(!New && Found->Value == 5);                                                                             \
        CHECK(((ELEMENT *)RtlLookupElementGenericTable##Suffix(&Table, &Element))->Value == 5);                       \
        for (Found = RtlEnumerateGenericTable##Suffix(&Table, TRUE); Found != NULL;                                   \
             Found = RtlEnumerateGenericTable##Suffix(&Table, FALSE)) {                                               \
            CHECK(Found->Key > Last || Seen == 0);                                                                    \
            Last = Found->Key;                                                                                        \
            Seen++;                                                                                                   \
        }                                                                                                             \
        CHECK(Seen == 40);                                                                                           \
        while ((Found = RtlEnumerateGenericTableWithoutSplaying##Suffix(&Table, &Restart)) != NULL) Seen--;           \
        CHECK(Seen == 0);                                                                                             \
        Element.Key = 500;                                                                                            \
        CHECK(RtlLookupElementGenericTable##Suffix(&Table, &Element) == NULL);                                        \
        CHECK(!RtlDeleteElementGenericTable##Suffix(&Table, &Element));                                               \
        CHECK(RtlLookupElementGenericTableFull##Suffix(&Table, &Element, &Place, &Result) == NULL);                   \
        CHECK(Result == TableInsertAsRight);                                                                          \
        Found = RtlInsertElementGenericTableFull##Suffix(&Table, &Element, sizeof(Element), &New, Place, Result);     \
        CHECK(New && Found->Key == 500);                                                                              \
        CHECK(RtlDeleteElementGenericTable##Suffix(&Table, &Element));                                                \
        CHECK(((ELEMENT *)RtlGetElementGenericTable##Suffix(&Table, 0))->Key == (sizeof(TABLE) > 72 ? 3u : Key(1)));   \
        CHECK(RtlGetElementGenericTable##Suffix(&Table, 40) == NULL);                                                \
        for (Index = 40; Index >= 1; Index -= 1) {                                                                   \
            Element.Key = Key(Index);                                                                                 \
            CHECK(RtlDeleteElementGenericTable##Suffix(&Table, &Element));                                            \
            if (Index == 20) CHECK(((ELEMENT *)RtlGetElementGenericTable##Suffix(&Table, 18)) != NULL);               \
        }                                                                                                             \
        CHECK(RtlIsGenericTableEmpty##Suffix(&Table) && Live == 0);                                                   \
        return Checks;                                                                                                \
    }

#undef RtlInitializeGenericTable
TEST(, RTL_GENERIC_TABLE, PRTL_GENERIC_COMPARE_ROUTINE)
TEST(Avl, RTL_AVL_TABLE, PRTL_AVL_COMPARE_ROUTINE)

EXPORT ULONG Depth(void)
{
    RTL_AVL_TABLE Table;
    ELEMENT Element = { 0, 0 };
    PVOID Restart = NULL;
    ULONG Deleted = 0;

    RtlInitializeGenericTableAvl(&Table, (PVOID)Compare, (PVOID)Allocate, (PVOID)Free, NULL);
    for (Element.Key = 1; Element.Key <= 127; Element.Key++) {
        RtlInsertElementGenericTableAvl(&Table, &Element, sizeof(Element), NULL);
    }
    CHECK(Table.DepthOfTree == 7);
    Element.Key = 60;
    CHECK(((ELEMENT *)RtlEnumerateGenericTableLikeADirectory(&Table, NULL, NULL, TRUE, &Restart, &Deleted, &Element))
              ->Key == 61);
    Element.Key = 61;
    RtlDeleteElementGenericTableAvl(&Table, &Element);
    CHECK(((ELEMENT *)RtlEnumerateGenericTableLikeADirectory(&Table, NULL, NULL, TRUE, &Restart, &Deleted, &Element))
              ->Key == 62);
    Restart = NULL;
    Element.Key = 7;
    CHECK(((ELEMENT *)RtlLookupFirstMatchingElementGenericTableAvl(&Table, &Element, &Restart))->Key == 7);
    while (!RtlIsGenericTableEmptyAvl(&Table)) {
        RtlDeleteElementGenericTableAvl(&Table, RtlGetElementGenericTableAvl(&Table, 0));
    }
    CHECK(Live == 0 && Table.DepthOfTree == 0);
    return Checks;
}
"""


def test_tables_of_both_kinds(load):
    machine = load(DRIVER)

    for function in ("Table", "TableAvl", "Depth"):
        machine.check(function)

    assert machine.unload() == []
