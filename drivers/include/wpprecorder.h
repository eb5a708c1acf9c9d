/*
 * wpprecorder.h: WPP's recorder in memory, on a system where nobody traces.
 */

#ifndef FLTLAB_WPPRECORDER_H
#define FLTLAB_WPPRECORDER_H

typedef PVOID RECORDER_LOG;

#define WppRecorderIsDefaultLogAvailable() FALSE
#define WppRecorderLogGetDefault() ((RECORDER_LOG)NULL)

#endif /* FLTLAB_WPPRECORDER_H */
