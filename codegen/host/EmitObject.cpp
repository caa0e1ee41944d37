#include "codegen/host/EmitObject.h"

#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"
#include "llvm/Transforms/Scalar/Reg2Mem.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "codegen/host/EmulateAmx.h"
#include "sq/kernel_abi.h"

#include <mutex>

using namespace mlir;

static constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

static llvm::Error refusal(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what);
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machineFor(llvm::StringRef cpu,
                                                                       llvm::StringRef attributes) {
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
      triple, cpu, attributes, llvm::TargetOptions(), llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Default));
  if (!machine)
    return refusal("LLVM makes no code for " + cpu);
  return machine;
}

/// Instructions of @main up to which it is optimised.
static constexpr unsigned kLongSchedule = 4096;

/// Loop passes, instruction selection and register allocation take quadratic time for one function
/// of tens of thousands of instructions, and what they could gain is nothing beside the kernels
/// that it launches. Not optimised, in blocks of a bounded length and with nothing in registers
/// from one to the next it takes linear time.
static void keepSimple(llvm::Function &main) {
  constexpr int kMostInstructions = 256;
  main.addFnAttr(llvm::Attribute::OptimizeNone);
  main.addFnAttr(llvm::Attribute::NoInline);
  for (auto block = main.begin(); block != main.end(); ++block) {
    int count = 0;
    for (llvm::Instruction &instruction : *block)
      if (!llvm::isa<llvm::PHINode, llvm::AllocaInst>(instruction) && ++count > kMostInstructions && !instruction.isTerminator()) {
        block->splitBasicBlock(&instruction); // the rest is the next block of the loop
        break;
      }
  }
  llvm::FunctionAnalysisManager analyses;
  llvm::PassBuilder().registerFunctionAnalyses(analyses);
  llvm::RegToMemPass().run(main, analyses);
}

static llvm::Error generate(llvm::Module &ir, llvm::TargetMachine &machine, llvm::CodeGenFileType type,
                            llvm::raw_pwrite_stream &os) {
  llvm::legacy::PassManager codegen;
  if (machine.addPassesToEmitFile(codegen, os, nullptr, type))
    return refusal("LLVM cannot write an object for " + machine.getTargetCPU());
  codegen.run(ir);
  return llvm::Error::success();
}

llvm::Expected<llvm::SmallVector<char, 0>> sq::emitObject(ModuleOp module, const HostTarget &target,
                                                          llvm::StringRef entry, ObjectKind kind,
                                                          bool sanitize, bool amxEmulated) {
  std::string attributes = amxEmulated ? withoutAmx(target.attributes) : target.attributes.str();
  auto made = machineFor(target.cpu, attributes);
  if (!made)
    return made.takeError();
  std::unique_ptr<llvm::TargetMachine> machine = std::move(*made);
  llvm::Triple triple(kTriple);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir = translateModuleToLLVMIR(module, context, "sq");
  if (!ir)
    return refusal("the program has no translation to LLVM IR");
  ir->setTargetTriple(triple);
  ir->setDataLayout(machine->createDataLayout());
  if (amxEmulated)
    if (llvm::Error error = emulateAmx(*ir))
      return error;
  for (llvm::Function &f : *ir) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("target-cpu", target.cpu);
    if (!attributes.empty())
      f.addFnAttr("target-features", attributes);
    // Without it LLVM splits what it vectorises itself to 256 bits.
    f.addFnAttr("prefer-vector-width", std::to_string(target.lanes * 32));
    f.addFnAttr(llvm::Attribute::NoUnwind);
    if (sanitize)
      f.addFnAttr(llvm::Attribute::SanitizeAddress);
    if (f.getName() != entry)
      f.setLinkage(llvm::GlobalValue::InternalLinkage);
    else
      f.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }

  if (llvm::Function *main = ir->getFunction("main"); main && main->getInstructionCount() > kLongSchedule)
    keepSimple(*main);

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassInstrumentationCallbacks callbacks;
  llvm::OptNoneInstrumentation optnone(/*DebugLogging=*/false); // without it passes do not heed the attribute
  optnone.registerCallbacks(callbacks);
  llvm::PassBuilder builder(machine.get(), llvm::PipelineTuningOptions(), std::nullopt, &callbacks);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  if (sanitize)
    builder.registerOptimizerLastEPCallback(
        [](llvm::ModulePassManager &passes, llvm::OptimizationLevel, llvm::ThinOrFullLTOPhase) {
          passes.addPass(llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions()));
        });
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(*ir, modules);

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (kind == ObjectKind::LLVM) {
    ir->print(os, nullptr);
    return bytes;
  }
  auto type = kind == ObjectKind::Object ? llvm::CodeGenFileType::ObjectFile
                                         : llvm::CodeGenFileType::AssemblyFile;
  if (llvm::Error error = generate(*ir, *machine, type, os))
    return error;
  return bytes;
}

llvm::Expected<llvm::SmallVector<char, 0>>
sq::emitDescriptor(llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> entries) {
  std::string text;
  llvm::raw_string_ostream ir(text);
  for (llvm::StringRef name : {"manifest_begin", "manifest_bytes", "weights_begin", "weights_bytes"})
    ir << "@sq_" << name << " = external hidden constant i8\n";
  for (auto [i, entry] : llvm::enumerate(entries)) {
    ir << "@level" << i << " = private constant [" << entry.first.size() + 1 << " x i8] c\""
       << entry.first << "\\00\"\n";
    ir << "declare hidden i32 @" << entry.second << "(ptr, ptr)\n";
  }
  ir << "@variants = private constant [" << entries.size() << " x {ptr, ptr}] [";
  for (auto [i, entry] : llvm::enumerate(entries))
    ir << (i ? ", " : "") << "{ptr, ptr} {ptr @level" << i << ", ptr @" << entry.second << "}";
  ir << "]\n@sq_artifact = constant {i64, i32, i32, ptr, ptr, ptr, ptr, ptr} {i64 "
     << SQ_ARTIFACT_MAGIC << ", i32 " << SQ_KERNEL_ABI_VERSION << ", i32 " << entries.size()
     << ", ptr @variants, ptr @sq_manifest_begin, ptr @sq_manifest_bytes, ptr @sq_weights_begin, "
        "ptr @sq_weights_bytes}\n";
  auto made = machineFor("x86-64", "");
  if (!made)
    return made.takeError();
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, problem, context);
  if (!module)
    return refusal("the descriptor is not valid LLVM IR: " + problem.getMessage());
  module->setTargetTriple(llvm::Triple(kTriple));
  module->setDataLayout((*made)->createDataLayout());
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (llvm::Error error = generate(*module, **made, llvm::CodeGenFileType::ObjectFile, os))
    return error;
  return bytes;
}
