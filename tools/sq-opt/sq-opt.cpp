// mlir-opt with sq's dialects and passes, and with ONNX models as input.

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"

using namespace mlir;

namespace {

/// The input as MlirOptMain reads it: MLIR as it is, an imported ONNX model as bytecode. That
/// copies the weights, which a tool for looking at IR may; sq-compile does not go this way.
std::unique_ptr<llvm::MemoryBuffer> readInput(StringRef path, const DialectRegistry &registry) {
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  FailureOr<sq::ModelFile> file = sq::openModel(path, context);
  if (failed(file))
    return nullptr;
  if (file->format == sq::ModelFormat::Mlir)
    return std::move(file->buffer);
  std::string name = file->buffer->getBufferIdentifier().str();
  OwningOpRef<ModuleOp> module = sq::loadModel(std::move(*file), path, context);
  if (!module)
    return nullptr;
  std::string bytecode;
  llvm::raw_string_ostream stream(bytecode);
  if (failed(writeBytecodeToFile(*module, stream)))
    return nullptr;
  return llvm::MemoryBuffer::getMemBufferCopy(bytecode, name);
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  sq::registerDialects(registry);
  sq::registerPasses();
  auto [inputName, outputName] = registerAndParseCLIOptions(
      argc, argv, "sq-opt: runs sq's passes on .mlir, .mlirbc, .onnx and .onnxtxt\n", registry);
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects())
    return asMainReturnCode(MlirOptMain(argc, argv, inputName, outputName, registry));

  std::unique_ptr<llvm::MemoryBuffer> input = readInput(inputName, registry);
  if (!input)
    return 1;
  std::string error;
  auto output = openOutputFile(outputName, &error);
  if (!output) {
    llvm::errs() << error << '\n';
    return 1;
  }
  if (failed(MlirOptMain(output->os(), std::move(input), registry, config)))
    return 1;
  output->keep(); // only a complete result stays
  return 0;
}
