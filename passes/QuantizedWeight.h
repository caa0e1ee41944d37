/// A constant weight of linear layers on its way to 8 bits.
#ifndef SQ_PASSES_QUANTIZEDWEIGHT_H
#define SQ_PASSES_QUANTIZEDWEIGHT_H

#include "mlir/IR/Value.h"

#include <optional>
#include <vector>

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/TensorStats.h"

namespace sq {

/// f32 elements of a constant, row-major; empty when `v` is none, or not all are finite.
std::vector<float> floatsOf(mlir::Value v);

/// Empty, or what is wrong with the text: "gptq" or "nearest".
std::string checkRounding(llvm::StringRef rounding);

/// Constant f32 tables of an embedding to signed bytes, each row with a scale of its own, where that
/// makes them smaller.
void quantizeTables(EmbeddingOp op);

/// One weight [k, n], or several with one input side by side: those share the input's range and factors.
struct QuantizedWeight {
  static constexpr int64_t kSteps = 255; // of an activation
  static constexpr float kLevels = 127;  // of a weight of 8 bits, on both sides of 0

  /// A weight as it lies, [k][n] or when transposed [n][k]; its bias of n elements or none.
  struct Part {
    std::vector<float> weight, bias;
    int64_t n;
    bool transposed;
    float levels = kLevels; // on both sides of 0; fewer where it is to fit less than 8 bits
  };

  const calibration::TensorStats &stats; // of x
  int64_t k, n = 0;
  bool hasFeedback;             // errors of rounding are taken over by other rows: the stats have second moments
  bool perChannel;              // the stats know each element of a row of x
  std::vector<float> weight;    // [k][n]
  std::vector<float> bias;      // [n]
  std::vector<float> levels;    // [n], of each column
  std::vector<double> rowPower; // sums of squares of the weight's rows
  std::vector<double> covariance; // of x, the upper triangle; only with feedback
  std::vector<double> remaining; // mean squares of the channels of x, with feedback what other channels do not tell
  std::vector<float> factors;   // of the channels of x; empty: none
  std::optional<double> alpha;  // of the factors; none when they are of another shape
  double low = 0, high = 0;     // range of x, after the factors
  std::vector<float> power;     // `remaining`, after the factors
  std::vector<double> scales;   // of the columns
  std::vector<int8_t> stored;   // [k][n]
  std::vector<double> feedbackNoise; // of the columns: mean squared error of rounding the weight; empty without feedback

  /// Without `feedback` each weight is rounded to the nearest step, whatever the stats know.
  QuantizedWeight(const calibration::TensorStats &stats, int64_t k, llvm::ArrayRef<Part> parts, bool feedback);

  /// Factors of least estimated error: 1 / s, s = max|x_r|^alpha / max|w_r|^(1 - alpha) (SmoothQuant), or
  /// min(1 / max|x_r|, max(a max_c(|w_rc| / max|w_c|), b (sum w_r^2 / remaining_r)^(1/4))); none when
  /// all of x in the range it has does better.
  void smooth();
  /// Each column in the scale of least error: its largest weight may be clipped. With feedback by GPTQ
  /// (lib/quantizer/ErrorFeedback.h) on the covariance of x, as the bias takes over errors of the mean.
  void roundWeight();
  /// The bias, with what rounding the weight takes from the mean of each result.
  std::vector<float> correctedBias() const;
  /// Of x's 255 steps, and the step that is 0.
  double scale() const;
  int64_t zero() const;

private:
  std::vector<double> largestShares() const;
  double estimateError(llvm::ArrayRef<double> factor, double range) const;
  std::pair<double, double> rangeWith(llvm::ArrayRef<double> factor) const;
  float roundingError(llvm::ArrayRef<float> column, float scale, float levels) const;
  double factorOf(int64_t channel) const { return factors.empty() ? 1 : factors[channel]; }
  double damping(int64_t channel) const;
  void chooseScales();
  bool roundWithFeedback();
};

} // namespace sq

#endif
