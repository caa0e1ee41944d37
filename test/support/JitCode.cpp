#include "test/support/JitCode.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"

#include "codegen/host/EmitObject.h"
#include "lib/init/InitSq.h"

using namespace mlir;
using namespace sq;
using namespace sq::test;

JitCode::JitCode() = default;
JitCode::JitCode(JitCode &&) = default;
JitCode::~JitCode() = default;

llvm::Expected<JitCode> JitCode::fromObject(llvm::ArrayRef<char> object) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  // Not detectHost: it asks the CPU for a name, and objects need no CPU.
  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(llvm::orc::JITTargetMachineBuilder(
                     llvm::Triple("x86_64-unknown-linux-gnu")))
                 .create();
  if (!jit)
    return jit.takeError();
  auto copy = llvm::MemoryBuffer::getMemBufferCopy(
      llvm::StringRef(object.data(), object.size()), "jit");
  if (llvm::Error error = (*jit)->addObjectFile(std::move(copy)))
    return error;
  JitCode code;
  code.jit = std::move(*jit);
  return code;
}

llvm::Expected<JitCode> JitCode::fromMlir(
    llvm::StringRef text, llvm::StringRef level, llvm::StringRef entry,
    llvm::function_ref<void(OpPassManager &)> prepare, bool amxEmulated) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return llvm::createStringError("the test's MLIR does not parse");
  PassManager pm(&context);
  prepare(pm);
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  if (failed(pm.run(*module)))
    return llvm::createStringError("the test's MLIR has no lowering to LLVM");
  auto object = emitObject(*module, findHostTarget(level).value(), entry,
                           ObjectKind::Object,
                           /*sanitize=*/false, amxEmulated);
  if (!object)
    return object.takeError();
  return fromObject(*object);
}

llvm::Expected<void *> JitCode::addressOf(llvm::StringRef name) const {
  auto address = jit->lookup(name);
  if (!address)
    return address.takeError();
  return address->toPtr<void *>();
}

llvm::SmallVector<std::string> sq::test::runnableLevels() {
  llvm::SmallVector<std::string> levels;
  std::string best = bestHostLevel();
  for (const HostTarget &target : hostTargets()) {
    if (best.empty())
      break;
    levels.push_back(target.level.str());
    if (levels.back() == best)
      break;
  }
  return levels;
}
