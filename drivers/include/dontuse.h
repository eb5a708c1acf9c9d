/*
 * dontuse.h: stands for the header by which the Windows driver kit poisons functions that drivers must not use.
 */

#ifndef DONTUSE_H
#define DONTUSE_H

#endif /* DONTUSE_H */
