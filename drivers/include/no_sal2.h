/*
 * no_sal2.h: stands for the header of the Windows driver kit with annotations for static analysis.
 */

#ifndef FLTLAB_NO_SAL2_H
#define FLTLAB_NO_SAL2_H

#endif /* FLTLAB_NO_SAL2_H */
