/// Expected losses in a file: measured once, for any number of budgets.
///
/// JSON: {"model": 32 hexadecimal digits, "metric": TEXT, "layers": [{"name":
/// TEXT, "losses": {CHOICE: NUMBER, ...}}, ...]}, choices as plans call them
/// (lib/quantization/Plan.h).
#ifndef SQ_LIB_ASSIGN_LOSSFILE_H
#define SQ_LIB_ASSIGN_LOSSFILE_H

#include <map>
#include <string>
#include <vector>

#include "llvm/ADT/StringRef.h"

#include "lib/tensorio/Tensor.h"

namespace sq::assign {

struct LayerLosses {
  std::string name;
  std::map<std::string, double> losses; // by choice; of float none
};

struct LossFile {
  std::string model; // a hash of it, as text
  std::string metric;
  std::vector<LayerLosses> layers;

  /// Null when the layer is not in it.
  const LayerLosses *find(llvm::StringRef name) const;
};

/// The same losses give the same bytes.
std::string lossText(const LossFile &file);
/// Refuses what is no such file, with `path` in front. A loss is a finite
/// number from 0 on.
Status parseLosses(llvm::StringRef text, const std::string &path,
                   LossFile &file);
Status readLosses(const std::string &path, LossFile &file);

} // namespace sq::assign

#endif
