#include "codegen/cuda/EmitDevice.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "codegen/cuda/EmulateCuda.h"
#include "codegen/cuda/Toolkit.h"

#include <mutex>

using namespace mlir;

static llvm::Error refusal(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what);
}

std::vector<std::string> sq::kernelNames(gpu::GPUModuleOp module) {
  std::vector<std::string> names;
  module.walk([&](LLVM::LLVMFuncOp func) {
    if (!func.isExternal())
      names.push_back(func.getName().str());
  });
  return names;
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machineFor(llvm::StringRef triple, llvm::StringRef cpu,
                                                                       llvm::StringRef features) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  std::string problem;
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(llvm::Triple(triple), problem);
  if (!backend)
    return refusal("this LLVM has no backend for " + triple + ": " + problem);
  std::unique_ptr<llvm::TargetMachine> machine(
      backend->createTargetMachine(llvm::Triple(triple), cpu, features, llvm::TargetOptions(), llvm::Reloc::PIC_,
                                   std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return refusal("LLVM makes no code for " + cpu);
  return machine;
}

static void optimize(llvm::Module &ir, llvm::TargetMachine &machine, llvm::OptimizationLevel level) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(level).run(ir, modules);
}

static llvm::Expected<llvm::SmallVector<char, 0>> generate(llvm::Module &ir, llvm::TargetMachine &machine,
                                                           llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager codegen;
  if (machine.addPassesToEmitFile(codegen, os, nullptr, type))
    return refusal("LLVM cannot write code for " + machine.getTargetCPU());
  codegen.run(ir);
  return bytes;
}

static llvm::Expected<std::unique_ptr<llvm::Module>> translate(gpu::GPUModuleOp module, llvm::LLVMContext &context,
                                                               llvm::StringRef triple, llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> ir = translateModuleToLLVMIR(module, context, "sq");
  if (!ir)
    return refusal("the kernels have no translation to LLVM IR");
  ir->setTargetTriple(llvm::Triple(triple));
  ir->setDataLayout(machine.createDataLayout());
  return ir;
}

llvm::Expected<std::string> sq::emitPtx(gpu::GPUModuleOp module, const CudaTarget &target) {
  static constexpr const char *kTriple = "nvptx64-nvidia-cuda";
  auto machine = machineFor(kTriple, target.arch, target.features);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto ir = translate(module, context, kTriple, **machine);
  if (!ir)
    return ir.takeError();
  optimize(**ir, **machine, llvm::OptimizationLevel::O3);
  // A function that is only declared would fail in the user's driver.
  for (llvm::Function &f : **ir)
    if (f.isDeclaration() && !f.isIntrinsic() && !f.use_empty())
      return refusal("the kernels call '" + f.getName() + "', which CUDA kernels cannot");
  auto text = generate(**ir, **machine, llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return std::string(text->begin(), text->end());
}

llvm::Expected<llvm::SmallVector<char, 0>> sq::emitEmulated(gpu::GPUModuleOp module) {
  static constexpr const char *kTriple = "x86_64-unknown-linux-gnu";
  auto machine = machineFor(kTriple, "x86-64-v3", "");
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto ir = translate(module, context, kTriple, **machine);
  if (!ir)
    return ir.takeError();
  if (llvm::Error error = emulateCuda(**ir, kernelNames(module)))
    return error;
  for (llvm::Function &f : **ir)
    if (!f.isDeclaration())
      f.addFnAttr("target-cpu", "x86-64-v3");
  optimize(**ir, **machine, llvm::OptimizationLevel::O1);
  return generate(**ir, **machine, llvm::CodeGenFileType::ObjectFile);
}

std::string sq::findPtxas() {
  if (const char *given = std::getenv("SQ_PTXAS"))
    return given;
  llvm::SmallVector<std::string> folders;
  for (const char *home : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *folder = std::getenv(home))
      folders.push_back(std::string(folder) + "/bin");
  auto in = [](llvm::ArrayRef<llvm::StringRef> paths) {
    llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas", paths);
    return found ? *found : std::string();
  };
  for (const std::string &folder : folders)
    if (std::string found = in({folder}); !found.empty())
      return found;
  if (std::string found = in({}); !found.empty())
    return found;
  return in({"/usr/local/cuda/bin", SQ_FETCHED_PTXAS});
}

llvm::Expected<llvm::SmallVector<char, 0>> sq::assemblePtx(llvm::StringRef ptxas, llvm::StringRef ptx,
                                                           const CudaTarget &target,
                                                           llvm::StringMap<KernelResources> &resources) {
  llvm::SmallString<128> files[3]; // PTX, cubin, messages
  static constexpr const char *kSuffixes[3] = {"ptx", "cubin", "log"};
  std::vector<std::unique_ptr<llvm::FileRemover>> temporary;
  for (int i = 0; i < 3; ++i) {
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("sq", kSuffixes[i], files[i]))
      return refusal("cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory");
    temporary.push_back(std::make_unique<llvm::FileRemover>(files[i]));
  }
  if (llvm::Error error = llvm::writeToOutput(files[0], [&](llvm::raw_ostream &os) {
        os << ptx;
        return llvm::Error::success();
      }))
    return error;
  llvm::StringRef args[] = {ptxas, "-v", "-O3", "-arch", target.arch, files[0], "-o", files[1]};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), files[2].str(), files[2].str()};
  std::string problem;
  int code = llvm::sys::ExecuteAndWait(ptxas, args, std::nullopt, redirects, /*SecondsToWait=*/600, 0, &problem);
  auto messages = llvm::MemoryBuffer::getFile(files[2]);
  std::string log = messages ? (*messages)->getBuffer().str() : std::string();
  if (code)
    return refusal(ptxas + " does not assemble the kernels" + (problem.empty() ? "" : " (" + problem + ")") + ":\n" + log);
  resources = parseAssemblerLog(log);
  auto cubin = llvm::MemoryBuffer::getFile(files[1]);
  if (!cubin)
    return refusal("cannot read what " + ptxas + " wrote: " + cubin.getError().message());
  return llvm::SmallVector<char, 0>((*cubin)->getBufferStart(), (*cubin)->getBufferEnd());
}
