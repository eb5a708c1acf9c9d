/*
 * guids.c: the GUIDs that the headers declare, for drivers that include initguid.h after them, or not at all.
 *
 * Linked into drivers of users; what a driver does not refer to, or has itself, is left out.
 */

#include <initguid.h>
#include <fltkernel.h>
