/*
 * proper.h: what is unusual and right, done when a file of its name is read; none of it may be found wrong.
 */

#pragma once

#include "kinds.h"

#define TAG 'porP'

extern PFLT_FILTER Filter;
extern PFLT_PORT Client;

VOID KindsStart(VOID);
VOID KindsStop(VOID);
