/// Generated code in this process: an object as the compiler emits it, loaded
/// and linked by LLVM's JIT.
#ifndef SQ_TEST_SUPPORT_JITCODE_H
#define SQ_TEST_SUPPORT_JITCODE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc
namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sq::test {

class JitCode {
public:
  /// `object`: an ELF file's bytes. Symbols that it lacks are this process's.
  static llvm::Expected<JitCode> fromObject(llvm::ArrayRef<char> object);

  /// `text`: MLIR whose func.func @entry takes pointers (!llvm.ptr) and
  /// scalars, in scf, vector, arith, math and llvm. `prepare` adds passes
  /// before the lowering to LLVM. Compiled for `level` by emitObject, without
  /// AMX instructions if `amxEmulated`.
  static llvm::Expected<JitCode>
  fromMlir(llvm::StringRef text, llvm::StringRef level, llvm::StringRef entry,
           llvm::function_ref<void(mlir::OpPassManager &)> prepare,
           bool amxEmulated = false);

  /// The function of that name; valid as long as this object.
  template <typename Function>
  llvm::Expected<Function *> lookup(llvm::StringRef name) const {
    llvm::Expected<void *> address = addressOf(name);
    if (!address)
      return address.takeError();
    return reinterpret_cast<Function *>(*address);
  }

  JitCode(JitCode &&);
  ~JitCode();

private:
  JitCode();
  llvm::Expected<void *> addressOf(llvm::StringRef name) const;
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

/// The levels of hostTargets() that this machine can run.
llvm::SmallVector<std::string> runnableLevels();

} // namespace sq::test

#endif
