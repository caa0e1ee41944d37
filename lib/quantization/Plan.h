/// Plan files: the precision of each layer, to read, edit and give back.
///
/// A line is `PATTERN = PRECISION`, `#` starts a comment (at the start of a line or after a space).
/// A pattern is a glob (`*`, `?`, `[a-z]`, `{a,b}`; `*` goes across slashes) over the name of a layer, of an
/// ONNX node in it or of its weight (while that is known); between double quotes it is one name as it stands, with `\\`, `\"` and
/// `\HH` (hexadecimal) for a backslash, a quote and any other byte. Of several lines that match a
/// layer the last one counts; a layer that none matches is sq's to decide.
#ifndef SQ_LIB_QUANTIZATION_PLAN_H
#define SQ_LIB_QUANTIZATION_PLAN_H

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include "lib/tensorio/Tensor.h"

namespace sq {

/// Those from Lut2 on are of weights only (sq-compile --weights), of 2, 3 or 4 bits: tables (lut), uniform groups rounded to nearest
/// (rtn) or with feedback of errors (gptq), and groups without a minimum, as llama.cpp's Q4_0 (sym).
enum class LayerPrecision { F32, Int8, Lut2, Lut3, Lut4, Rtn2, Rtn3, Rtn4, Gptq2, Gptq3, Gptq4, Sym2, Sym3, Sym4 };

/// Bits of a code; 0 for F32 and Int8, which have none.
int weightBits(LayerPrecision precision);
inline bool isOfWeights(LayerPrecision precision) { return weightBits(precision) != 0; }

/// "f32", "int8", "lut4", ...
llvm::StringRef precisionName(LayerPrecision precision);
std::optional<LayerPrecision> findPrecision(llvm::StringRef name);

/// Under what a plan's patterns find a layer: its own name first, then its nodes and its weight.
using LayerNames = std::vector<std::string>;

struct Glob;

class Plan {
public:
  struct Line {
    std::string pattern; // without quotes
    LayerPrecision precision;
    int number;                              // in the file
    std::shared_ptr<const Glob> glob; // null: the pattern is one name
    bool matches(const LayerNames &names) const;
    /// It has no other meaning than one name.
    bool isExact() const;
  };

  /// Refuses what is no plan with the line, and every precision that is none.
  static Status parse(llvm::StringRef text, const std::string &path, Plan &plan);
  static Status read(const std::string &path, Plan &plan);

  /// The last line that matches; null when none does.
  const Line *find(const LayerNames &names) const;
  /// Refuses lines that match none of `layers`: all at once, with the names most like theirs.
  Status check(llvm::ArrayRef<LayerNames> layers) const;

  const std::string &path() const { return file; }
  std::vector<Line> lines;

private:
  std::string file;
};

/// A line of a plan that decides the layer called `name`, and no other; `why` becomes a comment.
std::string planLine(llvm::StringRef name, LayerPrecision precision, llvm::StringRef why);

} // namespace sq

#endif
