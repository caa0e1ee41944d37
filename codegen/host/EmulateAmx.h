/// AMX code for machines without AMX, so that tests can run it.
#ifndef SQ_CODEGEN_HOST_EMULATEAMX_H
#define SQ_CODEGEN_HOST_EMULATEAMX_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace llvm {
class Module;
} // namespace llvm

namespace sq {

/// Rewrites every tile of `module` into 1 KiB of stack and every `.internal`
/// tile intrinsic into loops with the instruction's results: tileloadd64,
/// tileloaddt164, tilestored64, tilezero, tdpbf16ps, tdpb{ss,su,us,uu}d.
/// Tiles may pass through phis and selects. Shapes beyond the hardware's (16
/// rows of 64 bytes) trap when they are reached. Fails, naming the instruction
/// and its function, at any other use of x86_amx; the module is then unusable.
/// For tests: nothing is fast, and a kernel needs 2 KiB of stack per tile phi.
llvm::Error emulateAmx(llvm::Module &module);

/// `attributes` (LLVM's target features) less those of AMX.
std::string withoutAmx(llvm::StringRef attributes);

} // namespace sq

#endif
