/* scanner.h: what the driver and its service say to each other. */

#define SCANNER_PORT L"\\scanner"
#define SCANNER_NAME 260

typedef struct _SCANNER_QUESTION {
    ULONG Process;
    ULONG Bytes; /* how much of Content there is */
    UCHAR Content[64];
    WCHAR Name[SCANNER_NAME];
} SCANNER_QUESTION;

typedef struct _SCANNER_ANSWER {
    BOOLEAN Bad;
} SCANNER_ANSWER;
