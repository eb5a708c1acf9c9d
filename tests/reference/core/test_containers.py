"""Hash tables, map control blocks, the tunnel cache and LZNT1, as drivers call them."""

DRIVER = r"""
typedef struct { RTL_DYNAMIC_HASH_TABLE_ENTRY Links; ULONG Value; } ITEM;
static ITEM Items[600];

EXPORT ULONG HashTable(void)
{
    RTL_DYNAMIC_HASH_TABLE *Table = NULL;
    RTL_DYNAMIC_HASH_TABLE_CONTEXT Context = { 0 };
    RTL_DYNAMIC_HASH_TABLE_ENUMERATOR Enumerator;
    RTL_DYNAMIC_HASH_TABLE_ENTRY *Entry;
    ULONG Index, Seen = 0;

    CHECK(!RtlCreateHashTable(&Table, 0, 1));
    CHECK(RtlCreateHashTable(&Table, 0, 0) && Table != NULL && Table->TableSize == 128);
    CHECK(RtlLookupEntryHashTable(Table, 7, NULL) == NULL);
    for (Index = 0; Index < RTL_NUMBER_OF(Items); Index++) {
        Items[Index].Value = Index;
        CHECK(RtlInsertEntryHashTable(Table, &Items[Index].Links, Index / 2, NULL));
    }
    CHECK(Table->NumEntries == RTL_NUMBER_OF(Items) && Table->NonEmptyBuckets == 128);
    for (Index = 2; Index < RTL_NUMBER_OF(Items); Index += 2) {
        Entry = RtlLookupEntryHashTable(Table, Index / 2, &Context);
        CHECK(Entry != NULL && ((ITEM *)Entry)->Value / 2 == Index / 2);
        if (Index / 2 > 1) {
            Entry = RtlGetNextEntryHashTable(Table, &Context);
            CHECK(Entry != NULL && ((ITEM *)Entry)->Value / 2 == Index / 2);
            CHECK(RtlGetNextEntryHashTable(Table, &Context) == NULL);
        }
    }
    for (Index = 0; Index < 200; Index++) CHECK(RtlExpandHashTable(Table));
    CHECK(Table->TableSize == 328 && RtlLookupEntryHashTable(Table, 299, NULL) != NULL);
    CHECK(RtlInitEnumerationHashTable(Table, &Enumerator) && Table->NumEnumerators == 1);
    CHECK(!RtlExpandHashTable(Table) && !RtlContractHashTable(Table));
    while ((Entry = RtlEnumerateEntryHashTable(Table, &Enumerator)) != NULL) {
        Seen++;
        if (Seen % 3 == 0) CHECK(RtlRemoveEntryHashTable(Table, Entry, NULL));
    }
    RtlEndEnumerationHashTable(Table, &Enumerator);
    CHECK(Seen == RTL_NUMBER_OF(Items) && Table->NumEntries == 400 && Table->NumEnumerators == 0);
    for (Index = 0; Index < 200; Index++) CHECK(RtlContractHashTable(Table));
    CHECK(!RtlContractHashTable(Table) && Table->TableSize == 128);
    Seen = 0;
    CHECK(RtlInitWeakEnumerationHashTable(Table, &Enumerator));
    while (RtlWeaklyEnumerateEntryHashTable(Table, &Enumerator) != NULL) Seen++;
    RtlEndWeakEnumerationHashTable(Table, &Enumerator);
    CHECK(Seen == 400);
    RtlDeleteHashTable(Table);
    return Checks;
}

EXPORT ULONG LargeMcb(void)
{
    LARGE_MCB Mcb;
    LONGLONG Vbn, Lbn, Count, First, Whole;
    ULONG Index;

    FsRtlInitializeLargeMcb(&Mcb, PagedPool);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&Mcb) == 0 && !FsRtlLookupLastLargeMcbEntry(&Mcb, &Vbn, &Lbn));
    CHECK(FsRtlAddLargeMcbEntry(&Mcb, 10, 1000, 5) && FsRtlAddLargeMcbEntry(&Mcb, 15, 1005, 5));
    CHECK(FsRtlNumberOfRunsInLargeMcb(&Mcb) == 2);
    CHECK(FsRtlLookupLargeMcbEntry(&Mcb, 12, &Lbn, &Count, &First, &Whole, &Index));
    CHECK(Lbn == 1002 && Count == 8 && First == 1000 && Whole == 10 && Index == 1);
    CHECK(FsRtlLookupLargeMcbEntry(&Mcb, 3, &Lbn, &Count, NULL, NULL, &Index) && Lbn == -1 && Count == 7 && Index == 0);
    CHECK(!FsRtlLookupLargeMcbEntry(&Mcb, 20, &Lbn, NULL, NULL, NULL, NULL));
    CHECK(!FsRtlAddLargeMcbEntry(&Mcb, 12, 77, 1) && FsRtlAddLargeMcbEntry(&Mcb, 12, 1002, 1));
    FsRtlRemoveLargeMcbEntry(&Mcb, 13, 2);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&Mcb) == 4);
    CHECK(FsRtlGetNextLargeMcbEntry(&Mcb, 3, &Vbn, &Lbn, &Count) && Vbn == 15 && Lbn == 1005 && Count == 5);
    CHECK(FsRtlGetNextLargeMcbEntry(&Mcb, 2, &Vbn, &Lbn, &Count) && Vbn == 13 && Lbn == -1 && Count == 2);
    CHECK(!FsRtlGetNextLargeMcbEntry(&Mcb, 4, &Vbn, &Lbn, &Count));
    CHECK(FsRtlSplitLargeMcb(&Mcb, 16, 100));
    CHECK(FsRtlLookupLastLargeMcbEntryAndIndex(&Mcb, &Vbn, &Lbn, &Index) && Vbn == 119 && Lbn == 1009 && Index == 5);
    FsRtlTruncateLargeMcb(&Mcb, 12);
    CHECK(FsRtlLookupLastLargeMcbEntry(&Mcb, &Vbn, &Lbn) && Vbn == 11 && Lbn == 1001);
    for (Index = 0; Index < 60; Index++) CHECK(FsRtlAddLargeMcbEntry(&Mcb, 100 + 2 * Index, 5000 + 7 * Index, 1));
    CHECK(FsRtlNumberOfRunsInLargeMcb(&Mcb) == 2 + 120);
    FsRtlResetLargeMcb(&Mcb, TRUE);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&Mcb) == 0);
    FsRtlUninitializeLargeMcb(&Mcb);
    return Checks;
}

EXPORT ULONG SmallMcb(void)
{
    BASE_MCB Mcb;
    LONGLONG Vbn, Lbn, Count;
    ULONG Index;

    FsRtlInitializeBaseMcb(&Mcb, NonPagedPool);
    CHECK(FsRtlAddBaseMcbEntry(&Mcb, 0, 50, 4) && FsRtlAddBaseMcbEntry(&Mcb, 8, 90, 4));
    CHECK(FsRtlNumberOfRunsInBaseMcb(&Mcb) == 3);
    CHECK(FsRtlLookupBaseMcbEntry(&Mcb, 9, &Lbn, &Count, NULL, NULL, &Index) && Lbn == 91 && Count == 3 && Index == 2);
    CHECK(FsRtlGetNextBaseMcbEntry(&Mcb, 1, &Vbn, &Lbn, &Count) && Vbn == 4 && Lbn == -1 && Count == 4);
    CHECK(FsRtlSplitBaseMcb(&Mcb, 2, 3) && FsRtlNumberOfRunsInBaseMcb(&Mcb) == 5);
    CHECK(FsRtlRemoveBaseMcbEntry(&Mcb, 11, 4) && FsRtlNumberOfRunsInBaseMcb(&Mcb) == 3);
    CHECK(FsRtlLookupLastBaseMcbEntry(&Mcb, &Vbn, &Lbn) && Vbn == 6 && Lbn == 53);
    CHECK(FsRtlLookupLastBaseMcbEntryAndIndex(&Mcb, &Vbn, &Lbn, &Index) && Index == 2);
    FsRtlTruncateBaseMcb(&Mcb, 1);
    CHECK(FsRtlNumberOfRunsInBaseMcb(&Mcb) == 1);
    FsRtlResetBaseMcb(&Mcb);
    CHECK(FsRtlNumberOfRunsInBaseMcb(&Mcb) == 0);
    FsRtlUninitializeBaseMcb(&Mcb);
    return Checks;
}

EXPORT ULONG Tunnel(void)
{
    static TUNNEL Cache;
    UNICODE_STRING Short = RTL_CONSTANT_STRING(L"LONGNA~1.TXT"), Long = RTL_CONSTANT_STRING(L"Long name.txt");
    UNICODE_STRING Wanted = RTL_CONSTANT_STRING(L"LONG NAME.TXT");
    WCHAR Room[16];
    UNICODE_STRING FoundShort = { 0, sizeof(Room), Room }, FoundLong = { 0, 0, NULL };
    ULONG Data = 4711, Found = 0, Size = sizeof(Found);
    LARGE_INTEGER Wait = { .QuadPart = -160000000 };

    FsRtlInitializeTunnelCache(&Cache);
    CHECK(!FsRtlFindInTunnelCache(&Cache, 5, &Wanted, &FoundShort, &FoundLong, &Size, &Found));
    FsRtlAddToTunnelCache(&Cache, 5, &Short, &Long, FALSE, sizeof(Data), &Data);
    CHECK(!FsRtlFindInTunnelCache(&Cache, 6, &Wanted, &FoundShort, &FoundLong, &Size, &Found));
    CHECK(FsRtlFindInTunnelCache(&Cache, 5, &Wanted, &FoundShort, &FoundLong, &Size, &Found));
    CHECK(Found == 4711 && RtlEqualUnicodeString(&FoundShort, &Short, FALSE));
    CHECK(RtlEqualUnicodeString(&FoundLong, &Long, FALSE));
    ExFreePool(FoundLong.Buffer);
    KeDelayExecutionThread(KernelMode, FALSE, &Wait);
    FoundLong.Length = FoundLong.MaximumLength = 0;
    CHECK(!FsRtlFindInTunnelCache(&Cache, 5, &Wanted, &FoundShort, &FoundLong, &Size, &Found));
    FsRtlAddToTunnelCache(&Cache, 5, &Short, &Long, TRUE, sizeof(Data), &Data);
    FsRtlDeleteKeyFromTunnelCache(&Cache, 5);
    CHECK(!FsRtlFindInTunnelCache(&Cache, 5, &Short, &FoundShort, &FoundLong, &Size, &Found));
    FsRtlDeleteTunnelCache(&Cache);
    return Checks;
}

EXPORT ULONG Compression(void)
{
    static UCHAR Text[9000], Packed[10000], Again[9000];
    static UCHAR Vector[] = { 0x0A, 0xB0, 0x00, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x00, 0x49 };
    ULONG Whole = 0, Fragment = 0, Size = 0, Index;
    PVOID Room;

    CHECK(RtlGetCompressionWorkSpaceSize(COMPRESSION_FORMAT_NONE, &Whole, &Fragment) == STATUS_INVALID_PARAMETER);
    CHECK(RtlGetCompressionWorkSpaceSize(COMPRESSION_FORMAT_LZNT1 | 0x100, &Whole, &Fragment) == STATUS_SUCCESS);
    Room = ExAllocatePoolWithTag(PagedPool, Whole, TAG);
    CHECK(RtlCompressBuffer(COMPRESSION_FORMAT_LZNT1, Text, sizeof(Text), Packed, sizeof(Packed), 4096, &Size, Room)
          == STATUS_BUFFER_ALL_ZEROS);
    for (Index = 0; Index < sizeof(Text); Index++) Text[Index] = (UCHAR)(Index % 17 * (Index / 1000));
    CHECK(RtlCompressBuffer(COMPRESSION_FORMAT_LZNT1, Text, sizeof(Text), Packed, 100, 4096, &Size, Room)
          == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlCompressBuffer(3, Text, 10, Packed, 100, 4096, &Size, Room)
          == STATUS_UNSUPPORTED_COMPRESSION);
    CHECK(RtlCompressBuffer(COMPRESSION_FORMAT_LZNT1, Text, sizeof(Text), Packed, sizeof(Packed), 4096, &Size, Room)
          == STATUS_SUCCESS && Size < 1000);
    Whole = Size;
    CHECK(RtlDecompressBuffer(COMPRESSION_FORMAT_LZNT1, Again, sizeof(Again), Packed, Whole, &Size) == STATUS_SUCCESS);
    CHECK(Size == sizeof(Text) && RtlEqualMemory(Text, Again, sizeof(Text)));
    CHECK(RtlDecompressFragment(COMPRESSION_FORMAT_LZNT1, Again, 100, Packed, Whole, 5000, &Size, Room)
          == STATUS_SUCCESS && Size == 100 && RtlEqualMemory(Text + 5000, Again, 100));
    CHECK(RtlDecompressBuffer(COMPRESSION_FORMAT_LZNT1, Again, sizeof(Again), Vector, sizeof(Vector), &Size) == 0);
    CHECK(Size == 9 && RtlEqualMemory(Again, "ABCDEFGHI", 9));
    Vector[2] = 1;
    CHECK(RtlDecompressBuffer(COMPRESSION_FORMAT_LZNT1, Again, sizeof(Again), Vector, sizeof(Vector), &Size)
          == STATUS_BAD_COMPRESSION_BUFFER);
    ExFreePool(Room);
    return Checks;
}

EXPORT ULONG LeaveBehind(void)
{
    static TUNNEL Cache;
    FsRtlInitializeTunnelCache(&Cache);
    return Checks;
}
"""


def test_tables_and_caches_that_drivers_keep(load):
    machine = load(DRIVER)

    for function in ("HashTable", "LargeMcb", "SmallMcb", "Tunnel", "Compression"):
        machine.check(function)
    assert machine.findings == []
    machine.call("LeaveBehind")

    assert ["FsRtlDeleteTunnelCache" in text for text in machine.unload()] == [True]
