"""Security descriptors in both forms, access lists, what new objects get, and SeExports."""

DRIVER = r"""
EXPORT ULONG Descriptors(void)
{
    SECURITY_DESCRIPTOR Absolute, Copy;
    struct { ACL Acl; UCHAR Rest[120]; } Dacl;
    UCHAR Relative[256], Owner[32], Group[32], List[200];
    ULONG Length = 10, CopySize = sizeof(Copy), DaclSize = sizeof(List), SaclSize = 0, OwnerSize = 32, GroupSize = 32;
    PSECURITY_DESCRIPTOR Made = NULL, Pointer = Relative, New = NULL;
    SECURITY_INFORMATION Wanted = DACL_SECURITY_INFORMATION;
    SECURITY_SUBJECT_CONTEXT Subject;
    GENERIC_MAPPING Mapping = { 1, 2, 4, 7 };
    PACCESS_ALLOWED_ACE Ace;
    BOOLEAN Present, Defaulted;
    PACL Found;

    RtlCreateSecurityDescriptor(&Absolute, SECURITY_DESCRIPTOR_REVISION);
    RtlCreateAcl(&Dacl.Acl, sizeof(Dacl), ACL_REVISION);
    RtlAddAccessAllowedAce(&Dacl.Acl, ACL_REVISION, 7, SeExports->SeWorldSid);
    RtlAddAccessAllowedAce(&Dacl.Acl, ACL_REVISION, 1, SeExports->SeLocalSystemSid);
    CHECK(RtlGetAce(&Dacl.Acl, 1, (PVOID *)&Ace) == 0 && Ace->Mask == 1);
    CHECK(*RtlSubAuthoritySid((PSID)&Ace->SidStart, 0) == 18);
    CHECK(RtlDeleteAce(&Dacl.Acl, 5) == STATUS_INVALID_PARAMETER && RtlDeleteAce(&Dacl.Acl, 0) == STATUS_SUCCESS);
    CHECK(Dacl.Acl.AceCount == 1 && RtlGetAce(&Dacl.Acl, 0, (PVOID *)&Ace) == 0 && Ace->Mask == 1);
    RtlCopyMemory(List, Ace, Ace->Header.AceSize);
    CHECK(RtlAddAce(&Dacl.Acl, ACL_REVISION, MAXULONG, List, Ace->Header.AceSize) == 0 && Dacl.Acl.AceCount == 2);
    RtlSetDaclSecurityDescriptor(&Absolute, TRUE, &Dacl.Acl, FALSE);
    RtlSetOwnerSecurityDescriptor(&Absolute, SeExports->SeAliasAdminsSid, FALSE);
    CHECK(RtlAbsoluteToSelfRelativeSD(&Absolute, Relative, &Length) == STATUS_BUFFER_TOO_SMALL && Length > 100);
    CHECK(RtlAbsoluteToSelfRelativeSD(&Absolute, Relative, &Length) == STATUS_SUCCESS);
    CHECK(RtlValidRelativeSecurityDescriptor(Relative, Length, OWNER_SECURITY_INFORMATION));
    CHECK(!RtlValidRelativeSecurityDescriptor(Relative, Length, GROUP_SECURITY_INFORMATION));
    CHECK(!RtlValidRelativeSecurityDescriptor(Relative, Length - 8, 0) && SeValidSecurityDescriptor(Length, Relative));
    CHECK(RtlAbsoluteToSelfRelativeSD(Made = Relative, Relative, &Length) == STATUS_BAD_DESCRIPTOR_FORMAT);
    CHECK(RtlSelfRelativeToAbsoluteSD(Relative, &Copy, &CopySize, (PACL)List, &DaclSize, NULL, &SaclSize, Owner,
                                      &OwnerSize, Group, &GroupSize) == STATUS_SUCCESS);
    CHECK(RtlEqualSid(Owner, SeExports->SeAliasAdminsSid) && GroupSize == 0 && DaclSize == sizeof(Dacl));
    CHECK(SeCaptureSecurityDescriptor(&Absolute, KernelMode, PagedPool, TRUE, &Made) == 0 && Made != &Absolute);
    Length = 0;
    CHECK(SeQuerySecurityDescriptorInfo(&Wanted, NULL, &Length, &Made) == STATUS_BUFFER_TOO_SMALL);
    CHECK(SeQuerySecurityDescriptorInfo(&Wanted, Relative, &Length, &Made) == 0);
    CHECK(RtlGetDaclSecurityDescriptor(Relative, &Present, &Found, &Defaulted) == 0 && Present && Found->AceCount == 2);
    SeReleaseSecurityDescriptor(Made, KernelMode, TRUE);
    Wanted = DACL_SECURITY_INFORMATION;
    RtlSetDaclSecurityDescriptor(&Absolute, FALSE, NULL, FALSE);
    CHECK(SeSetSecurityDescriptorInfo(NULL, &Wanted, &Absolute, &Pointer, PagedPool, &Mapping) == 0);
    CHECK(Pointer != Relative && RtlGetDaclSecurityDescriptor(Pointer, &Present, &Found, &Defaulted) == 0 && !Present);
    ExFreePool(Pointer);
    SeCaptureSubjectContext(&Subject);
    CHECK(SeAssignSecurity(NULL, NULL, &New, FALSE, &Subject, &Mapping, PagedPool) == STATUS_SUCCESS);
    CHECK(RtlGetOwnerSecurityDescriptor(New, (PSID *)&Found, &Defaulted) == 0);
    CHECK(RtlEqualSid(Found, SeExports->SeAliasAdminsSid));
    CHECK(SeDeassignSecurity(&New) == STATUS_SUCCESS && New == NULL);
    SeReleaseSubjectContext(&Subject);
    CHECK(!SeAuditingFileEvents(TRUE, &Absolute) && SeExports->SeDebugPrivilege.LowPart == 20);
    return Checks;
}
"""


def test_descriptors_of_both_forms(load):
    machine = load(DRIVER)

    machine.check("Descriptors")

    assert machine.unload() == []
