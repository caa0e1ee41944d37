#include "codegen/host/EmitObject.h"

#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "mlir/Target/LLVMIR/Export.h"

#include <mutex>

using namespace mlir;

static constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

static llvm::Error refusal(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what);
}

llvm::Expected<llvm::SmallVector<char, 0>> sq::emitObject(ModuleOp module, const HostTarget &target,
                                                          llvm::StringRef entry, ObjectKind kind) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
  llvm::Triple triple(kTriple);
  std::string problem;
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, problem);
  if (!backend)
    return refusal("this LLVM has no x86-64 backend: " + problem);
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, target.cpu, target.attributes, llvm::TargetOptions(), llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Default));
  if (!machine)
    return refusal("LLVM makes no code for " + target.cpu);

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir = translateModuleToLLVMIR(module, context, "sq");
  if (!ir)
    return refusal("the program has no translation to LLVM IR");
  ir->setTargetTriple(triple);
  ir->setDataLayout(machine->createDataLayout());
  for (llvm::Function &f : *ir) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("target-cpu", target.cpu);
    if (!target.attributes.empty())
      f.addFnAttr("target-features", target.attributes);
    // Without it LLVM splits what it vectorises itself to 256 bits.
    f.addFnAttr("prefer-vector-width", std::to_string(target.lanes * 32));
    f.addFnAttr(llvm::Attribute::NoUnwind);
    if (f.getName() != entry)
      f.setLinkage(llvm::GlobalValue::InternalLinkage);
    else
      f.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine.get());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(*ir, modules);

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (kind == ObjectKind::LLVM) {
    ir->print(os, nullptr);
    return std::move(bytes);
  }
  llvm::legacy::PassManager codegen;
  auto type = kind == ObjectKind::Object ? llvm::CodeGenFileType::ObjectFile
                                         : llvm::CodeGenFileType::AssemblyFile;
  if (machine->addPassesToEmitFile(codegen, os, nullptr, type))
    return refusal("LLVM cannot write an object for " + target.cpu);
  codegen.run(*ir);
  return std::move(bytes);
}
