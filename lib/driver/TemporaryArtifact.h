/// Models that a tool compiles on the way.
#ifndef SQ_LIB_DRIVER_TEMPORARYARTIFACT_H
#define SQ_LIB_DRIVER_TEMPORARYARTIFACT_H

#include "sq/compiler.h"

namespace sq {

/// Whether the file is a model by its name: .onnx, .onnxtxt, .mlir, .mlirbc.
bool isModelName(const std::string &path);

/// A shared object in the folder for temporary files; gone with this, also after a signal.
class TemporaryArtifact {
public:
  TemporaryArtifact() = default;
  TemporaryArtifact(const TemporaryArtifact &) = delete;
  ~TemporaryArtifact();

  /// Compiles `model`, once; options.output is not looked at.
  CompileResult compile(const std::string &model, CompileOptions options = {});
  const std::string &path() const { return file; }

private:
  std::string file;
};

} // namespace sq

#endif
