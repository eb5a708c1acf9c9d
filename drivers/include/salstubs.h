/*
 * salstubs.h: annotations of the Windows driver kit that mingw-w64's sal.h and driverspecs.h do not define.
 *
 * They say nothing to clang; they are here so that drivers written for Microsoft's compiler compile unchanged.
 */

#ifndef SALSTUBS_H
#define SALSTUBS_H

#ifndef _Use_decl_annotations_
#define _Use_decl_annotations_
#endif
#ifndef _Function_class_
#define _Function_class_(Name)
#endif
#ifndef _IRQL_requires_
#define _IRQL_requires_(Irql)
#endif
#ifndef _IRQL_requires_max_
#define _IRQL_requires_max_(Irql)
#endif
#ifndef _IRQL_requires_min_
#define _IRQL_requires_min_(Irql)
#endif
#ifndef _IRQL_requires_same_
#define _IRQL_requires_same_
#endif
#ifndef _IRQL_raises_
#define _IRQL_raises_(Irql)
#endif
#ifndef _IRQL_saves_
#define _IRQL_saves_
#endif
#ifndef _IRQL_restores_
#define _IRQL_restores_
#endif
#ifndef _IRQL_saves_global_
#define _IRQL_saves_global_(Kind, Parameter)
#endif
#ifndef _IRQL_restores_global_
#define _IRQL_restores_global_(Kind, Parameter)
#endif
#ifndef _Dispatch_type_
#define _Dispatch_type_(Type)
#endif
#ifndef _Flt_CompletionContext_Outptr_
#define _Flt_CompletionContext_Outptr_
#endif
#ifndef _Flt_ConnectionCookie_Outptr_
#define _Flt_ConnectionCookie_Outptr_
#endif
#ifndef _Acquires_lock_
#define _Acquires_lock_(Lock)
#endif
#ifndef _Releases_lock_
#define _Releases_lock_(Lock)
#endif
#ifndef _Requires_lock_held_
#define _Requires_lock_held_(Lock)
#endif
#ifndef _Requires_lock_not_held_
#define _Requires_lock_not_held_(Lock)
#endif
#ifndef _Acquires_exclusive_lock_
#define _Acquires_exclusive_lock_(Lock)
#endif
#ifndef _Acquires_shared_lock_
#define _Acquires_shared_lock_(Lock)
#endif
#ifndef _Guarded_by_
#define _Guarded_by_(Lock)
#endif
#ifndef _Interlocked_operand_
#define _Interlocked_operand_
#endif
#ifndef _Must_inspect_result_
#define _Must_inspect_result_
#endif
#ifndef _Analysis_assume_
#define _Analysis_assume_(Expression)
#endif
#ifndef _Pre_satisfies_
#define _Pre_satisfies_(Expression)
#endif
#ifndef _Post_satisfies_
#define _Post_satisfies_(Expression)
#endif
#ifndef _Unreferenced_parameter_
#define _Unreferenced_parameter_
#endif
#ifndef _When_
#define _When_(Condition, Annotations)
#endif
#ifndef _At_
#define _At_(Target, Annotations)
#endif
#ifndef _Success_
#define _Success_(Expression)
#endif
#ifndef _Kernel_clear_do_init_
#define _Kernel_clear_do_init_(Yes)
#endif
#ifndef __drv_aliasesMem
#define __drv_aliasesMem
#endif
#ifndef __drv_freesMem
#define __drv_freesMem(Kind)
#endif
#ifndef __drv_allocatesMem
#define __drv_allocatesMem(Kind)
#endif
#ifndef __analysis_assume
#define __analysis_assume(Expression)
#endif

#endif /* SALSTUBS_H */
