/*
 * prints.c: what a minifilter has captured of DbgPrint.
 */

#include "probe.h"

/* Between BeginDrain and EndDrain. */
void
TakePrints(PROBE_FILTER *Filter)
{
    FLTLAB_PRINTS_REPLY *Reply;
    FLTLAB_REQUEST Request;

    if (Filter->PrintsReply == NULL) {
        Filter->PrintsReply = AllocatePages(sizeof(*Reply));
    }
    Reply = Filter->PrintsReply;
    InitializeRequest(&Request, FLTLAB_COMMAND_TAKE_PRINTS, sizeof(Request));
    do {
        Reply->Count = 0;
        if (Send(Filter, &Request, sizeof(Request), Reply, sizeof(*Reply)) < 0) {
            return;
        }
        Filter->ToldOfPrints = TRUE;
        Filter->PrintsLost += Reply->Lost;
        Filter->PrintsStatus = (NTSTATUS)Reply->Status;
        if (Filter->PrintCount + Reply->Count > Filter->PrintRoom) {
            FLTLAB_PRINT *Larger;

            Filter->PrintRoom = (Filter->PrintRoom + Reply->Count) * 2;
            Larger = AllocatePages(Filter->PrintRoom * sizeof(FLTLAB_PRINT));
            memcpy(Larger, Filter->Prints, Filter->PrintCount * sizeof(FLTLAB_PRINT));
            Filter->Prints = Larger;
        }
        memcpy(Filter->Prints + Filter->PrintCount, Reply->Prints, Reply->Count * sizeof(FLTLAB_PRINT));
        Filter->PrintCount += Reply->Count;
    } while (Reply->Count == FLTLAB_PRINTS_AT_A_TIME);
}

/* debug-print <label>: the minifilter prints two known lines */
void
DebugPrintVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    FLTLAB_REQUEST Request;

    InitializeRequest(&Request, FLTLAB_COMMAND_PRINT, sizeof(Request));
    Step->Status = Send(FindFilter(Line, Line->Words[1]), &Request, sizeof(Request), NULL, 0);
}
