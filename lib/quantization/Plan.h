/// Plan files: the precision of each layer, to read, edit and give back.
///
/// A line is `PATTERN = PRECISION`, `#` starts a comment (at the start of a line or after a space). A precision is one of those
/// below; behind `rtn` the inputs that share a scale may follow (`rtn4/64`), and behind `lut` and `rtn` the share of weights that are
/// kept apart (`lut4+0.45%`, `rtn3/128+0.5%`). Who reads a plan refuses what it has no kernel for.
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

/// Int8: products of bytes. Int2 to Int7 are the same with fewer values for weights (2^(bits - 1) - 1 on both sides of 0), whose
/// activations keep 8 bits: as long here, smaller in the file (loading makes bytes), and what hardware with narrower units runs. Those from Lut2 on are of weights only (sq-compile --weights): tables for each output channel (Lut),
/// uniform groups of inputs rounded to nearest (Rtn) or with feedback of errors (Gptq), and groups without a minimum, as
/// llama.cpp's Q4_0 (Sym).
enum class LayerPrecision { F32, Int8, Bf16, Int2, Int3, Int4, Int5, Int6, Int7, Lut2, Lut3, Lut4, Rtn2, Rtn3, Rtn4, Rtn6, Rtn8, Gptq2, Gptq3, Gptq4, Sym2, Sym3, Sym4 };

/// What --quant=int8 makes, but for f32.
inline bool isInteger(LayerPrecision precision) {
  return precision == LayerPrecision::Int8 || (precision >= LayerPrecision::Int2 && precision <= LayerPrecision::Int7);
}
inline bool isOfWeights(LayerPrecision precision) { return precision >= LayerPrecision::Lut2; }

/// "f32", "int8", "bf16", "lut2" ...
llvm::StringRef precisionName(LayerPrecision precision);
std::optional<LayerPrecision> findPrecision(llvm::StringRef name);
/// Of a weight, or of its code: 32, 8, 16, 2 ...
int precisionBits(LayerPrecision precision);

/// A precision with what else is decided about how the weight is kept.
struct LayerFormat {
  LayerFormat(LayerPrecision precision = LayerPrecision::F32) : precision(precision) {}

  LayerPrecision precision;
  std::optional<int64_t> group;   // of Rtn: inputs that share a scale, from 1 on
  std::optional<double> outliers; // of Lut and Rtn: share of the weights that are kept apart, in percent

  /// Nothing but the precision.
  bool isPlain() const { return !group && !outliers; }
  /// "lut4+0.45%".
  std::string text() const;
};

/// Reads what stands behind = in a plan; refuses what is no precision, or has details that do not belong to it.
Status parseFormat(llvm::StringRef text, LayerFormat &format);

/// Under what a plan's patterns find a layer: its own name first, then its nodes and its weight.
using LayerNames = std::vector<std::string>;

struct Glob;

class Plan {
public:
  struct Line : LayerFormat {
    std::string pattern; // without quotes
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
std::string planLine(llvm::StringRef name, const LayerFormat &format, llvm::StringRef why);

} // namespace sq

#endif
