/*
 * kernelspecs.h: stands for the header of the Windows driver kit with annotations for static analysis.
 */

#ifndef FLTLAB_KERNELSPECS_H
#define FLTLAB_KERNELSPECS_H

#endif /* FLTLAB_KERNELSPECS_H */
