/*
 * math.h as Microsoft's compiler has it: M_PI and its like are names of the driver's own unless it asks for them.
 */

#ifdef __CRT__NO_INLINE
#include_next <math.h>
#else
#define __CRT__NO_INLINE /* long double in inline functions is the x87's, which no driver's code may use */
#include_next <math.h>
#undef __CRT__NO_INLINE
#endif

#ifndef _USE_MATH_DEFINES
#undef M_E
#undef M_LOG2E
#undef M_LOG10E
#undef M_LN2
#undef M_LN10
#undef M_PI
#undef M_PI_2
#undef M_PI_4
#undef M_1_PI
#undef M_2_PI
#undef M_2_SQRTPI
#undef M_SQRT2
#undef M_SQRT1_2
#endif
