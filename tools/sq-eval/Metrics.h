/// The numbers that sq-eval prints; design.md, section "The tools".
#ifndef SQ_TOOLS_SQ_EVAL_METRICS_H
#define SQ_TOOLS_SQ_EVAL_METRICS_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// Index of the largest of `count` elements from `begin`; the lowest on ties.
int64_t argmax(const Tensor &t, int64_t begin, int64_t count);

/// Compares an output with a reference, sample by sample as they arrive.
/// A row is a vector along the last dimension.
class Similarity {
public:
  /// `withKl`: also what divergence() needs, an exponential for each element.
  explicit Similarity(bool withKl = false) : withKl(withKl) {}
  /// Takes the samples of `output` from `skip` on; sample k of it is sample
  /// `first + k` of `reference`.
  Status add(const Tensor &output, int64_t first, int64_t skip, const Tensor &reference);

  /// Share of rows whose argmax agrees.
  double agreement() const { return static_cast<double>(agreeing) / rows; }
  /// Mean over rows; two rows of zeros are equal, one is orthogonal.
  double cosine() const { return cosines / rows; }
  /// Mean over rows of KL(reference || output) of their softmax, in nats.
  double divergence() const { return divergences / rows; }
  /// 10 log10(sum ref^2 / sum (x - ref)^2) in dB; infinity when equal.
  double sqnr() const;

private:
  int64_t rows = 0, agreeing = 0;
  bool withKl;
  double divergences = 0, cosines = 0, signal = 0, noise = 0;
};

/// Sum of negative log likelihoods of next tokens.
class Perplexity {
public:
  /// `logits` is [samples, T, vocabulary], `tokens` [rows, T+1].
  Status add(const Tensor &logits, int64_t first, int64_t skip, const Tensor &tokens);
  double value() const;

private:
  double negativeLogLikelihood = 0;
  int64_t count = 0;
};

/// Mean over unmasked tokens of `output` [samples, tokens, hidden], or the rows
/// of [samples, hidden], each normalised, appended to `embeddings`. `mask` is
/// [all samples, tokens]. `hidden` is set.
Status appendEmbeddings(const Tensor &output, int64_t first, int64_t skip, const Tensor *mask,
                        std::vector<double> &embeddings, int64_t &hidden);

/// For each query the document with the largest dot product, the first on ties.
std::vector<int64_t> nearest(const std::vector<double> &queries,
                             const std::vector<double> &documents, int64_t hidden);

} // namespace sq

#endif
