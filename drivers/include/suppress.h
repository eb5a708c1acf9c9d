/*
 * suppress.h: stands for the header of the Windows driver kit with suppressions for static analysis.
 */

#ifndef SUPPRESS_H
#define SUPPRESS_H

#endif /* SUPPRESS_H */
