/*
 * hostile.h: a kind of wrong, done when a file of its name is read.
 */

#pragma once

#include "kinds.h"

#define TAG 'tsoH'
#define WILD ((PVOID)0xFFFFC1234567F000ull)
#define DESTROY(Place) RtlFillMemory((PVOID)(Place), sizeof(*(Place)), 0xFF)

extern PFLT_FILTER Filter;
extern PFLT_PORT Client;
extern PDRIVER_OBJECT Driver;
