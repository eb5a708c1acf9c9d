/* quarantine.h: what the driver and its service say to each other. */

#define QUARANTINE_PORT L"\\quarantine"
#define QUARANTINE_DIRECTORY L"\\quarantine\\"

typedef struct _QUARANTINE_QUESTION {
    ULONGLONG Size;
    WCHAR Name[256]; /* the final component, with a zero behind it */
    UCHAR Head[128];
    ULONG HeadLength;
} QUARANTINE_QUESTION;

typedef enum _QUARANTINE_VERDICT { VerdictGood = 0, VerdictQuarantine = 1 } QUARANTINE_VERDICT;

typedef struct _QUARANTINE_ANSWER {
    QUARANTINE_VERDICT Verdict;
} QUARANTINE_ANSWER;

/* What a program may ask of the driver. */
typedef struct _QUARANTINE_COUNTS {
    ULONG Asked;
    ULONG Moved;
} QUARANTINE_COUNTS;
