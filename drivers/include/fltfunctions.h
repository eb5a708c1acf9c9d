/* fltfunctions.h: the filter manager's exports, as FLTMGR.SYS has them. Part of fltkernel.h. */

#ifndef FLTFUNCTIONS_H
#define FLTFUNCTIONS_H

/*
 * Registration and unloading
 */

NTSYSAPI NTSTATUS FLTAPI FltRegisterFilter(PDRIVER_OBJECT Driver, const FLT_REGISTRATION *Registration,
                                           PFLT_FILTER *RetFilter);
NTSYSAPI VOID FLTAPI FltUnregisterFilter(PFLT_FILTER Filter);
NTSYSAPI NTSTATUS FLTAPI FltStartFiltering(PFLT_FILTER Filter);
NTSYSAPI PVOID FLTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName);
NTSYSAPI NTSTATUS FLTAPI FltLoadFilter(PCUNICODE_STRING FilterName);
NTSYSAPI NTSTATUS FLTAPI FltUnloadFilter(PCUNICODE_STRING FilterName);

/*
 * Attaching
 */

NTSYSAPI NTSTATUS FLTAPI FltAttachVolume(PFLT_FILTER Filter, PFLT_VOLUME Volume, PCUNICODE_STRING InstanceName,
                                         PFLT_INSTANCE *RetInstance);
NTSYSAPI NTSTATUS FLTAPI FltAttachVolumeAtAltitude(PFLT_FILTER Filter, PFLT_VOLUME Volume, PCUNICODE_STRING Altitude,
                                                   PCUNICODE_STRING InstanceName, PFLT_INSTANCE *RetInstance);
NTSYSAPI NTSTATUS FLTAPI FltDetachVolume(PFLT_FILTER Filter, PFLT_VOLUME Volume, PCUNICODE_STRING InstanceName);

/*
 * Pending, completion, cancellation
 */

NTSYSAPI BOOLEAN FLTAPI FltDoCompletionProcessingWhenSafe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                          PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags,
                                                          PFLT_POST_OPERATION_CALLBACK SafePostCallback,
                                                          FLT_POSTOP_CALLBACK_STATUS *RetPostOperationStatus);
NTSYSAPI VOID FLTAPI FltCompletePendedPreOperation(PFLT_CALLBACK_DATA CallbackData,
                                                   FLT_PREOP_CALLBACK_STATUS CallbackStatus, PVOID Context);
NTSYSAPI VOID FLTAPI FltCompletePendedPostOperation(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltRequestOperationStatusCallback(PFLT_CALLBACK_DATA Data,
                                                           PFLT_GET_OPERATION_STATUS_CALLBACK CallbackRoutine,
                                                           PVOID RequesterContext);
NTSYSAPI BOOLEAN FLTAPI FltCancelIo(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltSetCancelCompletion(PFLT_CALLBACK_DATA CallbackData,
                                                PFLT_COMPLETE_CANCELED_CALLBACK CanceledCallback);
NTSYSAPI NTSTATUS FLTAPI FltClearCancelCompletion(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI BOOLEAN FLTAPI FltIsIoCanceled(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltCancellableWaitForSingleObject(PVOID Object, PLARGE_INTEGER Timeout,
                                                           PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltCancellableWaitForMultipleObjects(ULONG Count, PVOID *ObjectArray, WAIT_TYPE WaitType,
                                                              PLARGE_INTEGER Timeout, PKWAIT_BLOCK WaitBlockArray,
                                                              PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI BOOLEAN FLTAPI FltIsOperationSynchronous(PFLT_CALLBACK_DATA CallbackData);

/*
 * Work items
 */

NTSYSAPI PFLT_DEFERRED_IO_WORKITEM FLTAPI FltAllocateDeferredIoWorkItem(VOID);
NTSYSAPI VOID FLTAPI FltFreeDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem);
NTSYSAPI PFLT_GENERIC_WORKITEM FLTAPI FltAllocateGenericWorkItem(VOID);
NTSYSAPI VOID FLTAPI FltFreeGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem);
NTSYSAPI NTSTATUS FLTAPI FltQueueDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem, PFLT_CALLBACK_DATA Data,
                                                    PFLT_DEFERRED_IO_WORKITEM_ROUTINE WorkerRoutine,
                                                    WORK_QUEUE_TYPE QueueType, PVOID Context);
NTSYSAPI NTSTATUS FLTAPI FltQueueGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem, PVOID FltObject,
                                                 PFLT_GENERIC_WORKITEM_ROUTINE WorkerRoutine, WORK_QUEUE_TYPE QueueType,
                                                 PVOID Context);

/*
 * Callback data queue
 */

NTSYSAPI NTSTATUS FLTAPI FltCbdqInitialize(PFLT_INSTANCE Instance, PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                           PFLT_CALLBACK_DATA_QUEUE_INSERT_IO CbdqInsertIo,
                                           PFLT_CALLBACK_DATA_QUEUE_REMOVE_IO CbdqRemoveIo,
                                           PFLT_CALLBACK_DATA_QUEUE_PEEK_NEXT_IO CbdqPeekNextIo,
                                           PFLT_CALLBACK_DATA_QUEUE_ACQUIRE CbdqAcquire,
                                           PFLT_CALLBACK_DATA_QUEUE_RELEASE CbdqRelease,
                                           PFLT_CALLBACK_DATA_QUEUE_COMPLETE_CANCELED_IO CbdqCompleteCanceledIo);
NTSYSAPI VOID FLTAPI FltCbdqEnable(PFLT_CALLBACK_DATA_QUEUE Cbdq);
NTSYSAPI VOID FLTAPI FltCbdqDisable(PFLT_CALLBACK_DATA_QUEUE Cbdq);
NTSYSAPI NTSTATUS FLTAPI FltCbdqInsertIo(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Cbd,
                                         PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context, PVOID InsertContext);
NTSYSAPI PFLT_CALLBACK_DATA FLTAPI FltCbdqRemoveIo(PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                   PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context);
NTSYSAPI PFLT_CALLBACK_DATA FLTAPI FltCbdqRemoveNextIo(PFLT_CALLBACK_DATA_QUEUE Cbdq, PVOID PeekContext);

/*
 * Callback data
 */

NTSYSAPI VOID FLTAPI FltSetCallbackDataDirty(PFLT_CALLBACK_DATA Data);
NTSYSAPI VOID FLTAPI FltClearCallbackDataDirty(PFLT_CALLBACK_DATA Data);
NTSYSAPI BOOLEAN FLTAPI FltIsCallbackDataDirty(PFLT_CALLBACK_DATA Data);
NTSYSAPI NTSTATUS FLTAPI FltAllocateCallbackData(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                 PFLT_CALLBACK_DATA *RetNewCallbackData);
NTSYSAPI NTSTATUS FLTAPI FltAllocateCallbackDataEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                   FLT_ALLOCATE_CALLBACK_DATA_FLAGS Flags,
                                                   PFLT_CALLBACK_DATA *RetNewCallbackData);
NTSYSAPI VOID FLTAPI FltFreeCallbackData(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI VOID FLTAPI FltReuseCallbackData(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltLockUserBuffer(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltDecodeParameters(PFLT_CALLBACK_DATA CallbackData, PMDL **MdlAddressPointer, PVOID **Buffer,
                                             PULONG *Length, LOCK_OPERATION *DesiredAccess);
NTSYSAPI PMDL FLTAPI FltGetSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI VOID FLTAPI FltRetainSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI PVOID FLTAPI FltGetNewSystemBufferAddress(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI BOOLEAN FLTAPI FltIs32bitProcess(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI PEPROCESS FLTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI ULONG FLTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI HANDLE FLTAPI FltGetRequestorProcessIdEx(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltGetRequestorSessionId(PFLT_CALLBACK_DATA CallbackData, PULONG SessionId);
NTSYSAPI NTSTATUS FLTAPI FltGetEcpListFromCallbackData(PFLT_FILTER Filter, PFLT_CALLBACK_DATA CallbackData,
                                                       PECP_LIST *EcpList);
NTSYSAPI NTSTATUS FLTAPI FltSetEcpListIntoCallbackData(PFLT_FILTER Filter, PFLT_CALLBACK_DATA CallbackData,
                                                       PECP_LIST EcpList);
NTSYSAPI IO_PRIORITY_HINT FLTAPI FltGetIoPriorityHintFromCallbackData(PFLT_CALLBACK_DATA Data);
NTSYSAPI NTSTATUS FLTAPI FltSetIoPriorityHintIntoCallbackData(PFLT_CALLBACK_DATA Data, IO_PRIORITY_HINT PriorityHint);
NTSYSAPI NTSTATUS FLTAPI FltGetActivityIdCallbackData(PFLT_CALLBACK_DATA CallbackData, GUID *Guid);
NTSYSAPI NTSTATUS FLTAPI FltSetActivityIdCallbackData(PFLT_CALLBACK_DATA CallbackData, LPCGUID Guid);
NTSYSAPI PVOID FLTAPI FltGetIoAttributionHandleFromCallbackData(PFLT_CALLBACK_DATA Data);
NTSYSAPI NTSTATUS FLTAPI FltPropagateIrpExtension(PFLT_CALLBACK_DATA SourceData, PFLT_CALLBACK_DATA TargetData,
                                                  ULONG Flags);
NTSYSAPI PCHAR FLTAPI FltGetIrpName(UCHAR IrpMajorCode);

/*
 * Contexts
 */

NTSYSAPI BOOLEAN FLTAPI FltSupportsFileContextsEx(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance);
NTSYSAPI BOOLEAN FLTAPI FltSupportsFileContexts(PFILE_OBJECT FileObject);
NTSYSAPI BOOLEAN FLTAPI FltSupportsStreamContexts(PFILE_OBJECT FileObject);
NTSYSAPI BOOLEAN FLTAPI FltSupportsStreamHandleContexts(PFILE_OBJECT FileObject);
NTSYSAPI NTSTATUS FLTAPI FltAllocateContext(PFLT_FILTER Filter, FLT_CONTEXT_TYPE ContextType, SIZE_T ContextSize,
                                            POOL_TYPE PoolType, PFLT_CONTEXT *ReturnedContext);
NTSYSAPI VOID FLTAPI FltGetContexts(PCFLT_RELATED_OBJECTS FltObjects, FLT_CONTEXT_TYPE DesiredContexts,
                                    PFLT_RELATED_CONTEXTS Contexts);
NTSYSAPI VOID FLTAPI FltReleaseContexts(PFLT_RELATED_CONTEXTS Contexts);
NTSYSAPI NTSTATUS FLTAPI FltGetContextsEx(PCFLT_RELATED_OBJECTS FltObjects, FLT_CONTEXT_TYPE DesiredContexts,
                                          SIZE_T ContextsSize, PFLT_RELATED_CONTEXTS_EX Contexts);
NTSYSAPI VOID FLTAPI FltReleaseContextsEx(SIZE_T ContextsSize, PFLT_RELATED_CONTEXTS_EX Contexts);
NTSYSAPI NTSTATUS FLTAPI FltSetVolumeContext(PFLT_VOLUME Volume, FLT_SET_CONTEXT_OPERATION Operation,
                                             PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltSetInstanceContext(PFLT_INSTANCE Instance, FLT_SET_CONTEXT_OPERATION Operation,
                                               PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltSetFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                           FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                           PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltSetStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                             FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                             PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltSetStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                   FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                                   PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltSetTransactionContext(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                                  FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                                  PFLT_CONTEXT *OldContext);
NTSYSAPI VOID FLTAPI FltDeleteContext(PFLT_CONTEXT Context);
NTSYSAPI NTSTATUS FLTAPI FltDeleteVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltDeleteInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltDeleteFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                              PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltDeleteStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltDeleteStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                      PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltDeleteTransactionContext(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                                     PFLT_CONTEXT *OldContext);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                   PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetTransactionContext(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                                  PFLT_CONTEXT *Context);
NTSYSAPI NTSTATUS FLTAPI FltGetSectionContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
NTSYSAPI VOID FLTAPI FltReferenceContext(PFLT_CONTEXT Context);
NTSYSAPI VOID FLTAPI FltReleaseContext(PFLT_CONTEXT Context);

/*
 * File names
 */

NTSYSAPI NTSTATUS FLTAPI FltCheckAndGrowNameControl(PFLT_NAME_CONTROL NameCtrl, USHORT NewSize);
NTSYSAPI NTSTATUS FLTAPI FltPurgeFileNameInformationCache(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
NTSYSAPI NTSTATUS FLTAPI FltGetFileNameInformation(PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions,
                                                   PFLT_FILE_NAME_INFORMATION *FileNameInformation);
NTSYSAPI NTSTATUS FLTAPI FltGetFileNameInformationUnsafe(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance,
                                                         FLT_FILE_NAME_OPTIONS NameOptions,
                                                         PFLT_FILE_NAME_INFORMATION *FileNameInformation);
NTSYSAPI VOID FLTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTSYSAPI VOID FLTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTSYSAPI NTSTATUS FLTAPI FltParseFileName(PCUNICODE_STRING FileName, PUNICODE_STRING Extension, PUNICODE_STRING Stream,
                                          PUNICODE_STRING FinalComponent);
NTSYSAPI NTSTATUS FLTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTSYSAPI NTSTATUS FLTAPI FltGetTunneledName(PFLT_CALLBACK_DATA CallbackData,
                                            PFLT_FILE_NAME_INFORMATION FileNameInformation,
                                            PFLT_FILE_NAME_INFORMATION *RetTunneledFileNameInformation);
NTSYSAPI NTSTATUS FLTAPI FltGetDestinationFileNameInformation(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                              HANDLE RootDirectory, PWCHAR FileName,
                                                              ULONG FileNameLength, FLT_FILE_NAME_OPTIONS NameOptions,
                                                              PFLT_FILE_NAME_INFORMATION *RetFileNameInformation);

/*
 * Communication ports
 */

NTSYSAPI NTSTATUS FLTAPI FltCreateCommunicationPort(PFLT_FILTER Filter, PFLT_PORT *ServerPort,
                                                    POBJECT_ATTRIBUTES ObjectAttributes, PVOID ServerPortCookie,
                                                    PFLT_CONNECT_NOTIFY ConnectNotifyCallback,
                                                    PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
                                                    PFLT_MESSAGE_NOTIFY MessageNotifyCallback, LONG MaxConnections);
NTSYSAPI VOID FLTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort);
NTSYSAPI VOID FLTAPI FltCloseClientPort(PFLT_FILTER Filter, PFLT_PORT *ClientPort);
NTSYSAPI NTSTATUS FLTAPI FltSendMessage(PFLT_FILTER Filter, PFLT_PORT *ClientPort, PVOID SenderBuffer,
                                        ULONG SenderBufferLength, PVOID ReplyBuffer, PULONG ReplyLength,
                                        PLARGE_INTEGER Timeout);
NTSYSAPI NTSTATUS FLTAPI FltBuildDefaultSecurityDescriptor(PSECURITY_DESCRIPTOR *SecurityDescriptor,
                                                           ACCESS_MASK DesiredAccess);
NTSYSAPI VOID FLTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);

/*
 * A minifilter's own I/O
 */

NTSYSAPI NTSTATUS FLTAPI FltIsDirectory(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, PBOOLEAN IsDirectory);
NTSYSAPI VOID FLTAPI FltPerformSynchronousIo(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltPerformAsynchronousIo(PFLT_CALLBACK_DATA CallbackData,
                                                  PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                                                  PVOID CallbackContext);
NTSYSAPI NTSTATUS FLTAPI FltpTraceRedirectedFileIo(PFILE_OBJECT OriginatingFileObject,
                                                   PFLT_CALLBACK_DATA ChildCallbackData);
NTSYSAPI NTSTATUS FLTAPI FltCreateNamedPipeFile(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                                PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                                                POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                                ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions,
                                                ULONG NamedPipeType, ULONG ReadMode, ULONG CompletionMode,
                                                ULONG MaximumInstances, ULONG InboundQuota, ULONG OutboundQuota,
                                                PLARGE_INTEGER DefaultTimeout, PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTSYSAPI NTSTATUS FLTAPI FltCreateMailslotFile(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                               PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                                               POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                               ULONG CreateOptions, ULONG MailslotQuota, ULONG MaximumMessageSize,
                                               PLARGE_INTEGER ReadTimeout, PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTSYSAPI NTSTATUS FLTAPI FltCreateFileEx2(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                          PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                                          POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                          PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
                                          ULONG CreateDisposition, ULONG CreateOptions, PVOID EaBuffer, ULONG EaLength,
                                          ULONG Flags, PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTSYSAPI NTSTATUS FLTAPI FltCreateFileEx(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                         PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                                         POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                         PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
                                         ULONG CreateDisposition, ULONG CreateOptions, PVOID EaBuffer, ULONG EaLength,
                                         ULONG Flags);
NTSYSAPI NTSTATUS FLTAPI FltCreateFile(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                       ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                                       PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER AllocationSize,
                                       ULONG FileAttributes, ULONG ShareAccess, ULONG CreateDisposition,
                                       ULONG CreateOptions, PVOID EaBuffer, ULONG EaLength, ULONG Flags);
NTSYSAPI NTSTATUS FLTAPI FltOpenVolume(PFLT_INSTANCE Instance, PHANDLE VolumeHandle, PFILE_OBJECT *VolumeFileObject);
NTSYSAPI NTSTATUS FLTAPI FltReadFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                     PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                                     FLT_IO_OPERATION_FLAGS Flags, PULONG BytesRead,
                                     PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext);
NTSYSAPI NTSTATUS FLTAPI FltReadFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                       PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                                       FLT_IO_OPERATION_FLAGS Flags, PULONG BytesRead,
                                       PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext,
                                       PULONG Key, PMDL Mdl);
NTSYSAPI NTSTATUS FLTAPI FltTagFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, ULONG FileTag,
                                    LPCGUID Guid, PVOID DataBuffer, USHORT DataBufferLength);
NTSYSAPI NTSTATUS FLTAPI FltTagFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, ULONG FileTag,
                                      LPCGUID Guid, PVOID DataBuffer, USHORT DataBufferLength, ULONG ExistingFileTag,
                                      LPCGUID ExistingGuid, ULONG Flags);
NTSYSAPI NTSTATUS FLTAPI FltUntagFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, ULONG FileTag,
                                      LPCGUID Guid);
NTSYSAPI NTSTATUS FLTAPI FltWriteFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                      PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                                      FLT_IO_OPERATION_FLAGS Flags, PULONG BytesWritten,
                                      PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext);
NTSYSAPI NTSTATUS FLTAPI FltWriteFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                        PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                                        FLT_IO_OPERATION_FLAGS Flags, PULONG BytesWritten,
                                        PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext,
                                        PULONG Key, PMDL Mdl);
NTSYSAPI BOOLEAN FLTAPI FltFastIoMdlRead(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                         PLARGE_INTEGER FileOffset, ULONG Length, ULONG LockKey, PMDL *MdlChain,
                                         PIO_STATUS_BLOCK IoStatus);
NTSYSAPI BOOLEAN FLTAPI FltFastIoMdlReadComplete(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                                 PMDL MdlChain);
NTSYSAPI BOOLEAN FLTAPI FltFastIoPrepareMdlWrite(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                                 PLARGE_INTEGER FileOffset, ULONG Length, ULONG LockKey, PMDL *MdlChain,
                                                 PIO_STATUS_BLOCK IoStatus);
NTSYSAPI BOOLEAN FLTAPI FltFastIoMdlWriteComplete(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                                  PLARGE_INTEGER FileOffset, PMDL MdlChain);
NTSYSAPI NTSTATUS FLTAPI FltQueryInformationByName(PFLT_FILTER Filter, PFLT_INSTANCE Instance,
                                                   POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                                   PVOID FileInformation, ULONG Length,
                                                   FILE_INFORMATION_CLASS FileInformationClass,
                                                   PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTSYSAPI NTSTATUS FLTAPI FltQueryInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation,
                                                 ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
                                                 PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltSetInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation,
                                               ULONG Length, FILE_INFORMATION_CLASS FileInformationClass);
NTSYSAPI NTSTATUS FLTAPI FltQueryDirectoryFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation,
                                               ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
                                               BOOLEAN ReturnSingleEntry, PUNICODE_STRING FileName, BOOLEAN RestartScan,
                                               PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltQueryDirectoryFileEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation,
                                                 ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
                                                 ULONG QueryFlags, PUNICODE_STRING FileName, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltQueryQuotaInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                      PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer, ULONG Length,
                                                      BOOLEAN ReturnSingleEntry, PVOID SidList, ULONG SidListLength,
                                                      PULONG StartSid, BOOLEAN RestartScan, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltSetQuotaInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID Buffer,
                                                    ULONG Length);
NTSYSAPI NTSTATUS FLTAPI FltQueryEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID ReturnedEaData,
                                        ULONG Length, BOOLEAN ReturnSingleEntry, PVOID EaList, ULONG EaListLength,
                                        PULONG EaIndex, BOOLEAN RestartScan, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltSetEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID EaBuffer, ULONG Length);
NTSYSAPI NTSTATUS FLTAPI FltQueryVolumeInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                       PVOID FsInformation, ULONG Length,
                                                       FS_INFORMATION_CLASS FsInformationClass, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltQuerySecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                SECURITY_INFORMATION SecurityInformation,
                                                PSECURITY_DESCRIPTOR SecurityDescriptor, ULONG Length,
                                                PULONG LengthNeeded);
NTSYSAPI NTSTATUS FLTAPI FltSetSecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                              SECURITY_INFORMATION SecurityInformation,
                                              PSECURITY_DESCRIPTOR SecurityDescriptor);
NTSYSAPI NTSTATUS FLTAPI FltFlushBuffers(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
NTSYSAPI NTSTATUS FLTAPI FltFlushBuffers2(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG FlushType,
                                          PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltFsControlFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG FsControlCode,
                                          PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer,
                                          ULONG OutputBufferLength, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltDeviceIoControlFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG IoControlCode,
                                                PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer,
                                                ULONG OutputBufferLength, PULONG LengthReturned);
NTSYSAPI VOID FLTAPI FltReissueSynchronousIo(PFLT_INSTANCE InitiatingInstance, PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI NTSTATUS FLTAPI FltClose(HANDLE FileHandle);
NTSYSAPI VOID FLTAPI FltCancelFileOpen(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
NTSYSAPI NTSTATUS FLTAPI FltCreateSystemVolumeInformationFolder(PFLT_INSTANCE Instance);
NTSYSAPI NTSTATUS FLTAPI FltQueryVolumeInformation(PFLT_INSTANCE Instance, PIO_STATUS_BLOCK Iosb, PVOID FsInformation,
                                                   ULONG Length, FS_INFORMATION_CLASS FsInformationClass);
NTSYSAPI NTSTATUS FLTAPI FltSetVolumeInformation(PFLT_INSTANCE Instance, PIO_STATUS_BLOCK Iosb, PVOID FsInformation,
                                                 ULONG Length, FS_INFORMATION_CLASS FsInformationClass);

/*
 * Volumes, instances, filters
 */

NTSYSAPI NTSTATUS FLTAPI FltGetVolumeName(PFLT_VOLUME Volume, PUNICODE_STRING VolumeName, PULONG BufferSizeNeeded);
NTSYSAPI NTSTATUS FLTAPI FltGetFilterFromName(PCUNICODE_STRING FilterName, PFLT_FILTER *RetFilter);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeFromName(PFLT_FILTER Filter, PCUNICODE_STRING VolumeName, PFLT_VOLUME *RetVolume);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeInstanceFromName(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                                                      PCUNICODE_STRING InstanceName, PFLT_INSTANCE *RetInstance);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeFromInstance(PFLT_INSTANCE Instance, PFLT_VOLUME *RetVolume);
NTSYSAPI NTSTATUS FLTAPI FltGetFilterFromInstance(PFLT_INSTANCE Instance, PFLT_FILTER *RetFilter);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeFromFileObject(PFLT_FILTER Filter, PFILE_OBJECT FileObject,
                                                    PFLT_VOLUME *RetVolume);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeFromDeviceObject(PFLT_FILTER Filter, PDEVICE_OBJECT DeviceObject,
                                                      PFLT_VOLUME *RetVolume);
NTSYSAPI BOOLEAN FLTAPI FltIsFltMgrVolumeDeviceObject(PDEVICE_OBJECT DeviceObject);
NTSYSAPI NTSTATUS FLTAPI FltGetDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DeviceObject);
NTSYSAPI NTSTATUS FLTAPI FltGetDiskDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DiskDeviceObject);
NTSYSAPI NTSTATUS FLTAPI FltGetLowerInstance(PFLT_INSTANCE CurrentInstance, PFLT_INSTANCE *LowerInstance);
NTSYSAPI NTSTATUS FLTAPI FltGetUpperInstance(PFLT_INSTANCE CurrentInstance, PFLT_INSTANCE *UpperInstance);
NTSYSAPI NTSTATUS FLTAPI FltGetTopInstance(PFLT_VOLUME Volume, PFLT_INSTANCE *Instance);
NTSYSAPI NTSTATUS FLTAPI FltGetBottomInstance(PFLT_VOLUME Volume, PFLT_INSTANCE *Instance);
NTSYSAPI LONG FLTAPI FltCompareInstanceAltitudes(PFLT_INSTANCE Instance1, PFLT_INSTANCE Instance2);
NTSYSAPI NTSTATUS FLTAPI FltGetFilterInformation(PFLT_FILTER Filter, FILTER_INFORMATION_CLASS InformationClass,
                                                 PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltGetInstanceInformation(PFLT_INSTANCE Instance, INSTANCE_INFORMATION_CLASS InformationClass,
                                                   PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeInformation(PFLT_VOLUME Volume, FILTER_VOLUME_INFORMATION_CLASS InformationClass,
                                                 PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeProperties(PFLT_VOLUME Volume, PFLT_VOLUME_PROPERTIES VolumeProperties,
                                                ULONG VolumePropertiesLength, PULONG LengthReturned);
NTSYSAPI NTSTATUS FLTAPI FltIsVolumeWritable(PVOID FltObject, PBOOLEAN IsWritable);
NTSYSAPI NTSTATUS FLTAPI FltGetFileSystemType(PVOID FltObject, PFLT_FILESYSTEM_TYPE FileSystemType);
NTSYSAPI NTSTATUS FLTAPI FltIsVolumeSnapshot(PVOID FltObject, PBOOLEAN IsSnapshotVolume);
NTSYSAPI NTSTATUS FLTAPI FltGetVolumeGuidName(PFLT_VOLUME Volume, PUNICODE_STRING VolumeGuidName,
                                              PULONG BufferSizeNeeded);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateFilters(PFLT_FILTER *FilterList, ULONG FilterListSize,
                                             PULONG NumberFiltersReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateVolumes(PFLT_FILTER Filter, PFLT_VOLUME *VolumeList, ULONG VolumeListSize,
                                             PULONG NumberVolumesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateInstances(PFLT_VOLUME Volume, PFLT_FILTER Filter, PFLT_INSTANCE *InstanceList,
                                               ULONG InstanceListSize, PULONG NumberInstancesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateFilterInformation(ULONG Index, FILTER_INFORMATION_CLASS InformationClass,
                                                       PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateInstanceInformationByFilter(PFLT_FILTER Filter, ULONG Index,
                                                                 INSTANCE_INFORMATION_CLASS InformationClass,
                                                                 PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateInstanceInformationByVolume(PFLT_VOLUME Volume, ULONG Index,
                                                                 INSTANCE_INFORMATION_CLASS InformationClass,
                                                                 PVOID Buffer, ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateInstanceInformationByVolumeName(PCUNICODE_STRING VolumeName, ULONG Index,
                                                                     INSTANCE_INFORMATION_CLASS InformationClass,
                                                                     PVOID Buffer, ULONG BufferSize,
                                                                     PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateInstanceInformationByDeviceObject(PDEVICE_OBJECT DeviceObject, ULONG Index,
                                                                       INSTANCE_INFORMATION_CLASS InformationClass,
                                                                       PVOID Buffer, ULONG BufferSize,
                                                                       PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltEnumerateVolumeInformation(PFLT_FILTER Filter, ULONG Index,
                                                       FILTER_VOLUME_INFORMATION_CLASS InformationClass, PVOID Buffer,
                                                       ULONG BufferSize, PULONG BytesReturned);
NTSYSAPI NTSTATUS FLTAPI FltObjectReference(PVOID FltObject);
NTSYSAPI VOID FLTAPI FltObjectDereference(PVOID FltObject);

/*
 * Data scan
 */

NTSYSAPI NTSTATUS FLTAPI FltRegisterForDataScan(PFLT_INSTANCE Instance);
NTSYSAPI NTSTATUS FLTAPI FltCreateSectionForDataScan(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                     PFLT_CONTEXT SectionContext, ACCESS_MASK DesiredAccess,
                                                     POBJECT_ATTRIBUTES ObjectAttributes, PLARGE_INTEGER MaximumSize,
                                                     ULONG SectionPageProtection, ULONG AllocationAttributes,
                                                     ULONG Flags, PHANDLE SectionHandle, PVOID *SectionObject,
                                                     PLARGE_INTEGER SectionFileSize);
NTSYSAPI NTSTATUS FLTAPI FltCloseSectionForDataScan(PFLT_CONTEXT SectionContext);

/*
 * Oplocks
 */

NTSYSAPI VOID FLTAPI FltInitializeOplock(POPLOCK Oplock);
NTSYSAPI VOID FLTAPI FltUninitializeOplock(POPLOCK Oplock);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI FltOplockFsctrl(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData,
                                                          ULONG OpenCount);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI
FltCheckOplock(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData, PVOID Context,
               PFLTOPLOCK_WAIT_COMPLETE_ROUTINE WaitCompletionRoutine,
               PFLTOPLOCK_PREPOST_CALLBACKDATA_ROUTINE PrePostCallbackDataRoutine);
NTSYSAPI BOOLEAN FLTAPI FltOplockIsFastIoPossible(POPLOCK Oplock);
NTSYSAPI BOOLEAN FLTAPI FltCurrentBatchOplock(POPLOCK Oplock);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI
FltCheckOplockEx(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData, ULONG Flags, PVOID Context,
                 PFLTOPLOCK_WAIT_COMPLETE_ROUTINE WaitCompletionRoutine,
                 PFLTOPLOCK_PREPOST_CALLBACKDATA_ROUTINE PrePostCallbackDataRoutine);
NTSYSAPI BOOLEAN FLTAPI FltCurrentOplock(POPLOCK Oplock);
NTSYSAPI BOOLEAN FLTAPI FltCurrentOplockH(POPLOCK Oplock);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI
FltOplockBreakH(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData, ULONG Flags, PVOID Context,
                PFLTOPLOCK_WAIT_COMPLETE_ROUTINE WaitCompletionRoutine,
                PFLTOPLOCK_PREPOST_CALLBACKDATA_ROUTINE PrePostCallbackDataRoutine);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI
FltOplockBreakToNone(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData, PVOID Context,
                     PFLTOPLOCK_WAIT_COMPLETE_ROUTINE WaitCompletionRoutine,
                     PFLTOPLOCK_PREPOST_CALLBACKDATA_ROUTINE PrePostCallbackDataRoutine);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI
FltOplockBreakToNoneEx(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData, ULONG Flags, PVOID Context,
                       PFLTOPLOCK_WAIT_COMPLETE_ROUTINE WaitCompletionRoutine,
                       PFLTOPLOCK_PREPOST_CALLBACKDATA_ROUTINE PrePostCallbackDataRoutine);
NTSYSAPI BOOLEAN FLTAPI FltOplockIsSharedRequest(PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI FltOplockFsctrlEx(POPLOCK Oplock, PFLT_CALLBACK_DATA CallbackData,
                                                            ULONG OpenCount, ULONG Flags);
NTSYSAPI BOOLEAN FLTAPI FltOplockKeysEqual(PFILE_OBJECT Fo1, PFILE_OBJECT Fo2);

/*
 * Byte-range locks
 */

NTSYSAPI VOID FLTAPI FltInitializeFileLock(PFILE_LOCK FileLock);
NTSYSAPI VOID FLTAPI FltUninitializeFileLock(PFILE_LOCK FileLock);
NTSYSAPI PFILE_LOCK FLTAPI FltAllocateFileLock(PFLT_COMPLETE_LOCK_CALLBACK_DATA_ROUTINE CompleteLockCallbackDataRoutine,
                                               PUNLOCK_ROUTINE UnlockRoutine);
NTSYSAPI VOID FLTAPI FltFreeFileLock(PFILE_LOCK FileLock);
NTSYSAPI FLT_PREOP_CALLBACK_STATUS FLTAPI FltProcessFileLock(PFILE_LOCK FileLock, PFLT_CALLBACK_DATA CallbackData,
                                                             PVOID Context);
NTSYSAPI BOOLEAN FLTAPI FltCheckLockForReadAccess(PFILE_LOCK FileLock, PFLT_CALLBACK_DATA CallbackData);
NTSYSAPI BOOLEAN FLTAPI FltCheckLockForWriteAccess(PFILE_LOCK FileLock, PFLT_CALLBACK_DATA CallbackData);

/*
 * Locks
 */

NTSYSAPI VOID FLTAPI FltAcquireResourceExclusive(PERESOURCE Resource);
NTSYSAPI VOID FLTAPI FltAcquireResourceShared(PERESOURCE Resource);
NTSYSAPI VOID FLTAPI FltReleaseResource(PERESOURCE Resource);
NTSYSAPI VOID FLTAPI FltInitializePushLock(PEX_PUSH_LOCK PushLock);
NTSYSAPI VOID FLTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock);
NTSYSAPI VOID FLTAPI FltAcquirePushLockExclusive(PEX_PUSH_LOCK PushLock);
NTSYSAPI VOID FLTAPI FltAcquirePushLockShared(PEX_PUSH_LOCK PushLock);
NTSYSAPI VOID FLTAPI FltReleasePushLock(PEX_PUSH_LOCK PushLock);
NTSYSAPI VOID FLTAPI FltAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
NTSYSAPI VOID FLTAPI FltAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
NTSYSAPI VOID FLTAPI FltReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags);

/*
 * Transactions
 */

NTSYSAPI NTSTATUS FLTAPI FltEnlistInTransaction(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                                PFLT_CONTEXT TransactionContext, ULONG NotificationMask);
NTSYSAPI NTSTATUS FLTAPI FltRollbackEnlistment(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                               PFLT_CONTEXT TransactionContext);
NTSYSAPI NTSTATUS FLTAPI FltPrePrepareComplete(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                               PFLT_CONTEXT TransactionContext);
NTSYSAPI NTSTATUS FLTAPI FltPrepareComplete(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                            PFLT_CONTEXT TransactionContext);
NTSYSAPI NTSTATUS FLTAPI FltCommitComplete(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                           PFLT_CONTEXT TransactionContext);
NTSYSAPI NTSTATUS FLTAPI FltCommitFinalizeComplete(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                                   PFLT_CONTEXT TransactionContext);
NTSYSAPI NTSTATUS FLTAPI FltRollbackComplete(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                                             PFLT_CONTEXT TransactionContext);
NTSYSAPI VOID FLTAPI FltPrepareToReuseEcp(PFLT_FILTER Filter, PVOID EcpContext);

/*
 * Extra create parameters
 */

NTSYSAPI NTSTATUS FLTAPI FltAllocateExtraCreateParameterList(PFLT_FILTER Filter, ULONG Flags, PECP_LIST *EcpList);
NTSYSAPI NTSTATUS FLTAPI FltAllocateExtraCreateParameter(PFLT_FILTER Filter, LPCGUID EcpType, ULONG SizeOfContext,
                                                         ULONG Flags,
                                                         PFSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK CleanupCallback,
                                                         ULONG PoolTag, PVOID *EcpContext);
NTSYSAPI VOID FLTAPI FltInitExtraCreateParameterLookasideList(PFLT_FILTER Filter, PVOID Lookaside, ULONG Flags,
                                                              SIZE_T Size, ULONG Tag);
NTSYSAPI VOID FLTAPI FltDeleteExtraCreateParameterLookasideList(PFLT_FILTER Filter, PVOID Lookaside, ULONG Flags);
NTSYSAPI NTSTATUS FLTAPI FltAllocateExtraCreateParameterFromLookasideList(
    PFLT_FILTER Filter, LPCGUID EcpType, ULONG SizeOfContext, ULONG Flags,
    PFSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK CleanupCallback, PVOID LookasideList, PVOID *EcpContext);
NTSYSAPI NTSTATUS FLTAPI FltInsertExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList, PVOID EcpContext);
NTSYSAPI NTSTATUS FLTAPI FltFindExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList, LPCGUID EcpType,
                                                     PVOID *EcpContext, PULONG EcpContextSize);
NTSYSAPI NTSTATUS FLTAPI FltRemoveExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList, LPCGUID EcpType,
                                                       PVOID *EcpContext, PULONG EcpContextSize);
NTSYSAPI VOID FLTAPI FltFreeExtraCreateParameterList(PFLT_FILTER Filter, PECP_LIST EcpList);
NTSYSAPI VOID FLTAPI FltFreeExtraCreateParameter(PFLT_FILTER Filter, PVOID EcpContext);
NTSYSAPI NTSTATUS FLTAPI FltGetNextExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList, PVOID CurrentEcpContext,
                                                        GUID *NextEcpType, PVOID *NextEcpContext,
                                                        PULONG NextEcpContextSize);
NTSYSAPI VOID FLTAPI FltAcknowledgeEcp(PFLT_FILTER Filter, PVOID EcpContext);
NTSYSAPI BOOLEAN FLTAPI FltIsEcpAcknowledged(PFLT_FILTER Filter, PVOID EcpContext);
NTSYSAPI BOOLEAN FLTAPI FltIsEcpFromUserMode(PFLT_FILTER Filter, PVOID EcpContext);
NTSYSAPI NTSTATUS FLTAPI FltAddOpenReparseEntry(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data,
                                                POPEN_REPARSE_LIST_ENTRY OpenReparseEntry);
NTSYSAPI VOID FLTAPI FltRemoveOpenReparseEntry(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data,
                                               POPEN_REPARSE_LIST_ENTRY OpenReparseEntry);
NTSYSAPI NTSTATUS FLTAPI FltCopyOpenReparseList(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data, PECP_LIST EcpList);
NTSYSAPI VOID FLTAPI FltFreeOpenReparseList(PFLT_FILTER Filter, PECP_LIST EcpList);
NTSYSAPI NTSTATUS FLTAPI FltRequestFileInfoOnCreateCompletion(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data,
                                                              ULONG InfoClassFlags);
NTSYSAPI PVOID FLTAPI FltRetrieveFileInfoOnCreateCompletion(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data,
                                                            ULONG InfoClass, PULONG Size);
NTSYSAPI NTSTATUS FLTAPI FltRetrieveFileInfoOnCreateCompletionEx(PFLT_FILTER Filter, PFLT_CALLBACK_DATA Data,
                                                                 ULONG InfoClass, PULONG RetInfoSize,
                                                                 PVOID *RetInfoBuffer);

/*
 * Everything else
 */

NTSYSAPI PVOID FLTAPI FltAllocatePoolAlignedWithTag(PFLT_INSTANCE Instance, POOL_TYPE PoolType, SIZE_T NumberOfBytes,
                                                    ULONG Tag);
NTSYSAPI VOID FLTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag);
NTSYSAPI VOID FLTAPI FltNotifyFilterChangeDirectory(PNOTIFY_SYNC NotifySync, PLIST_ENTRY NotifyList, PVOID FsContext,
                                                    PSTRING FullDirectoryName, BOOLEAN WatchTree, BOOLEAN IgnoreBuffer,
                                                    ULONG CompletionFilter, PFLT_CALLBACK_DATA NotifyCallbackData,
                                                    PCHECK_FOR_TRAVERSE_ACCESS TraverseCallback,
                                                    PSECURITY_SUBJECT_CONTEXT SubjectContext,
                                                    PFILTER_REPORT_CHANGE FilterCallback);
NTSYSAPI NTSTATUS FLTAPI FltAdjustDeviceStackSizeForIoRedirection(PFLT_INSTANCE SourceInstance,
                                                                  PFLT_INSTANCE TargetInstance,
                                                                  PBOOLEAN SourceDeviceStackSizeModified);
NTSYSAPI NTSTATUS FLTAPI FltIsIoRedirectionAllowed(PFLT_INSTANCE SourceInstance, PFLT_INSTANCE TargetInstance,
                                                   PBOOLEAN RedirectionAllowed);
NTSYSAPI NTSTATUS FLTAPI FltIsIoRedirectionAllowedForOperation(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE TargetInstance,
                                                               PBOOLEAN RedirectionAllowedThisIo,
                                                               PBOOLEAN RedirectionAllowedAllIo);
NTSYSAPI NTSTATUS FLTAPI FltVetoBypassIo(PFLT_CALLBACK_DATA CallbackData, PCFLT_RELATED_OBJECTS FltObjects,
                                         NTSTATUS OperationStatus, PUNICODE_STRING FailureReason);
NTSYSAPI NTSTATUS FLTAPI FltRetrieveIoPriorityInfo(PFLT_CALLBACK_DATA Data, PFILE_OBJECT FileObject, PETHREAD Thread,
                                                   PIO_PRIORITY_INFO PriorityInfo);
NTSYSAPI NTSTATUS FLTAPI FltApplyPriorityInfoThread(PIO_PRIORITY_INFO InputPriorityInfo,
                                                    PIO_PRIORITY_INFO OutputPriorityInfo, PETHREAD Thread);
NTSYSAPI IO_PRIORITY_HINT FLTAPI FltGetIoPriorityHint(PFLT_CALLBACK_DATA Data);
NTSYSAPI IO_PRIORITY_HINT FLTAPI FltGetIoPriorityHintFromFileObject(PFILE_OBJECT FileObject);
NTSYSAPI NTSTATUS FLTAPI FltSetIoPriorityHintIntoFileObject(PFILE_OBJECT FileObject, IO_PRIORITY_HINT PriorityHint);
NTSYSAPI IO_PRIORITY_HINT FLTAPI FltGetIoPriorityHintFromThread(PETHREAD Thread);
NTSYSAPI NTSTATUS FLTAPI FltSetIoPriorityHintIntoThread(PETHREAD Thread, IO_PRIORITY_HINT PriorityHint);
NTSYSAPI NTSTATUS FLTAPI FltPropagateActivityIdToThread(PFLT_CALLBACK_DATA CallbackData, GUID *PropagateId,
                                                        GUID **OriginalId);
NTSYSAPI NTSTATUS FLTAPI FltGetFsZeroingOffset(PFLT_CALLBACK_DATA Data, PULONG ZeroingOffset);
NTSYSAPI NTSTATUS FLTAPI FltSetFsZeroingOffsetRequired(PFLT_CALLBACK_DATA Data);
NTSYSAPI NTSTATUS FLTAPI FltSetFsZeroingOffset(PFLT_CALLBACK_DATA Data, ULONG ZeroingOffset);

#endif /* FLTFUNCTIONS_H */
