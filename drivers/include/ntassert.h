/*
 * ntassert.h: NT_ASSERT and its kin, which wdm.h has.
 */

#ifndef FLTLAB_NTASSERT_H
#define FLTLAB_NTASSERT_H

#include "ntkernel.h"

#endif /* FLTLAB_NTASSERT_H */
