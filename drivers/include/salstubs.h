/*
 * salstubs.h: annotations of the Windows driver kit that mingw-w64's sal.h and driverspecs.h lack, one release or
 * another of them.
 *
 * They say nothing to clang; they are here so that drivers written for Microsoft's compiler compile unchanged.
 */

#ifndef SALSTUBS_H
#define SALSTUBS_H

#pragma clang system_header /* a name that mingw-w64 has, too, is no warning */

/* Microsoft's source annotations, 2.0. */
#define _Acquires_exclusive_lock_(Lock)
#define _Acquires_lock_(Lock)
#define _Acquires_shared_lock_(Lock)
#define _Always_(Annotations)
#define _Analysis_assume_(Expression)
#define _Analysis_assume_smart_lock_acquired_(Lock)
#define _Analysis_noreturn_
#define _At_(Target, Annotations)
#define _Deref_out_z_
#define _Deref_post_maybenull_
#define _Deref_post_notnull_
#define _Deref_post_null_
#define _Deref_post_valid_
#define _Deref_post_z_
#define _Deref_pre_maybenull_
#define _Deref_pre_notnull_
#define _Deref_pre_null_
#define _Deref_pre_valid_
#define _Deref_pre_z_
#define _Deref_prepost_opt_valid_
#define _Deref_prepost_valid_
#define _Deref_ret_z_
#define _Enum_is_bitflag_
#define _Function_class_(Name)
#define _Guarded_by_(Lock)
#define _Interlocked_operand_
#define _Maybenull_
#define _Maybevalid_
#define _Must_inspect_result_
#define _Notnull_
#define _Notref_
#define _Notvalid_
#define _Null_
#define _Old_(Value)
#define _Post_
#define _Post_invalid_
#define _Post_maybenull_
#define _Post_notnull_
#define _Post_null_
#define _Post_ptr_invalid_
#define _Post_satisfies_(Expression)
#define _Post_valid_
#define _Post_z_
#define _Pre_
#define _Pre_invalid_
#define _Pre_maybenull_
#define _Pre_null_
#define _Pre_opt_valid_
#define _Pre_satisfies_(Expression)
#define _Pre_unknown_
#define _Pre_valid_
#define _Pre_z_
#define _Prepost_
#define _Releases_lock_(Lock)
#define _Requires_lock_held_(Lock)
#define _Requires_lock_not_held_(Lock)
#define _Satisfies_(Expression)
#define _Success_(Expression)
#define _Unreferenced_parameter_
#define _Use_decl_annotations_
#define _Valid_
#define _When_(Condition, Annotations)

/* Of drivers. */
#define _Dispatch_type_(Type)
#define _Flt_CompletionContext_Inout_
#define _Flt_CompletionContext_Outptr_
#define _Flt_ConnectionCookie_Outptr_
#define _IRQL_always_function_max_(Irql)
#define _IRQL_always_function_min_(Irql)
#define _IRQL_is_cancel_
#define _IRQL_raises_(Irql)
#define _IRQL_requires_(Irql)
#define _IRQL_requires_max_(Irql)
#define _IRQL_requires_min_(Irql)
#define _IRQL_requires_same_
#define _IRQL_restores_
#define _IRQL_restores_global_(Kind, Parameter)
#define _IRQL_saves_
#define _IRQL_saves_global_(Kind, Parameter)
#define _IRQL_uses_cancel_
#define _Kernel_IoGetDmaAdapter_
#define _Kernel_acquires_resource_(Kind)
#define _Kernel_clear_do_init_(Yes)
#define _Kernel_entry_
#define _Kernel_entry_always_
#define _Kernel_float_restored_
#define _Kernel_float_saved_
#define _Kernel_float_used_
#define _Kernel_releases_resource_(Kind)
#define _Kernel_requires_resource_held_(Kind)
#define _Kernel_requires_resource_not_held_(Kind)

/* Of drivers, as they were written before 2.0. */
#define __analysis_assume(Expression)
#define __blocksOn(Resource)
#define __deref_inout
#define __deref_opt_out_opt
#define __deref_out_bcount(Size)
#define __drv_Mode_impl(Mode)
#define __drv_acquiresCriticalRegion
#define __drv_acquiresExclusiveResource(Kind)
#define __drv_acquiresResource(Kind)
#define __drv_acquiresResourceGlobal(Kind, Parameter)
#define __drv_aliasesMem
#define __drv_allocatesMem(Kind)
#define __drv_callbackType(Kind)
#define __drv_clearDoInit(Yes)
#define __drv_completionType(Kind)
#define __drv_constant
#define __drv_declspec(Name)
#define __drv_floatRestored
#define __drv_floatSaved
#define __drv_floatUsed
#define __drv_freesMem(Kind)
#define __drv_fun(Annotations)
#define __drv_functionClass(Name)
#define __drv_inTry
#define __drv_inout(Annotations)
#define __drv_interlocked
#define __drv_isCancelIRQL
#define __drv_isObjectPointer
#define __drv_maxFunctionIRQL(Irql)
#define __drv_minFunctionIRQL(Irql)
#define __drv_minIRQL(Irql)
#define __drv_mustHold(Kind)
#define __drv_mustHoldCancelSpinLock
#define __drv_mustHoldCriticalRegion
#define __drv_mustHoldGlobal(Kind, Parameter)
#define __drv_neverHold(Kind)
#define __drv_neverHoldCriticalRegion
#define __drv_neverHoldGlobal(Kind, Parameter)
#define __drv_nop(Annotations)
#define __drv_notInTry
#define __drv_notPointer
#define __drv_preferredFunction(Name, Reason)
#define __drv_releasesCriticalRegion
#define __drv_releasesExclusiveResource(Kind)
#define __drv_releasesResource(Kind)
#define __drv_releasesResourceGlobal(Kind, Parameter)
#define __drv_reportError(Text)
#define __drv_ret(Annotations)
#define __drv_sameIRQL
#define __drv_strictType(Type, Mode)
#define __drv_strictTypeMatch(Mode)
#define __drv_unit(Unit)
#define __field_bcount(Size)
#define __field_bcount_opt(Size)
#define __field_ecount(Size)
#define __field_ecount_opt(Size)
#define __format_string
#define __in_bcount_opt(Size)
#define __in_ecount_opt(Size)
#define __in_opt_z
#define __in_range(Low, High)
#define __in_z
#define __inout_bcount_opt(Size)
#define __nullnullterminated
#define __nullterminated
#define __out_bcount_opt(Size)
#define __out_bcount_part_opt(Size, Length)
#define __out_ecount_opt(Size)
#define __out_range(Low, High)
#define __reserved
#define __struct_bcount(Size)
#define __success(Expression)
#define __typefix(Type)

#endif /* SALSTUBS_H */
