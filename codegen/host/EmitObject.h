/// From the LLVM dialect to a native object.
#ifndef SQ_CODEGEN_HOST_EMITOBJECT_H
#define SQ_CODEGEN_HOST_EMITOBJECT_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include "mlir/IR/BuiltinOps.h"

#include "codegen/host/HostTarget.h"

namespace sq {

enum class ObjectKind { Object, Assembly, LLVM };

/// Translates `module` (LLVM dialect) to LLVM IR, optimises it for `target`
/// and returns an ELF object, assembly, or the optimised IR as text. All
/// symbols but `entry` are internal. `sanitize` instruments every load and
/// store for AddressSanitizer, whose runtime the loading program must bring.
/// `amxEmulated`: without AMX instructions, see EmulateAmx.h.
llvm::Expected<llvm::SmallVector<char, 0>> emitObject(mlir::ModuleOp module, const HostTarget &target,
                                                      llvm::StringRef entry, ObjectKind kind,
                                                      bool sanitize, bool amxEmulated = false);

/// An object that defines `sq_artifact` (sq_artifact_descriptor) for the given
/// (level, entry symbol) pairs; manifest and weights are symbols of the linker.
llvm::Expected<llvm::SmallVector<char, 0>>
emitDescriptor(llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> entries);

} // namespace sq

#endif
