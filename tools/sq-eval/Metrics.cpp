#include "tools/sq-eval/Metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/numerics/Divergence.h"

namespace sq {

int64_t argmax(const Tensor &t, int64_t begin, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i)
    if (t.asDouble(begin + i) > t.asDouble(begin + best))
      best = i;
  return best;
}

Status Similarity::add(const Tensor &output, int64_t first, int64_t skip, const Tensor &reference) {
  std::vector<int64_t> expected = reference.shape;
  if (!expected.empty())
    expected[0] = output.shape[0];
  if (output.shape != expected)
    return Status::refused("output '" + output.name + "' is " + typeString(output) +
                           ", the reference has " + typeString(reference.dtype, expected));
  int64_t samples = output.shape[0], perSample = output.numElements() / samples;
  int64_t width = output.shape.size() > 1 ? output.shape.back() : 1;
  if (perSample == 0)
    return Status::refused("output '" + output.name + "' is empty");
  std::vector<float> row(withKl ? width : 0), referenceRow(row.size());
  for (int64_t s = skip; s < samples; ++s)
    for (int64_t at = 0; at < perSample; at += width) {
      int64_t x = s * perSample + at, ref = (first + s) * perSample + at;
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] = float(output.asDouble(x + i));
        referenceRow[i] = float(reference.asDouble(ref + i));
      }
      if (withKl)
        divergences += numerics::klDivergence(referenceRow.data(), row.data(), width);
      double xx = 0, rr = 0, xr = 0;
      for (int64_t i = 0; i < width; ++i) {
        double a = output.asDouble(x + i), b = reference.asDouble(ref + i);
        xx += a * a;
        rr += b * b;
        xr += a * b;
        noise += (a - b) * (a - b);
      }
      signal += rr;
      cosines += xx == 0 && rr == 0 ? 1 : xx == 0 || rr == 0 ? 0 : xr / std::sqrt(xx * rr);
      agreeing += argmax(output, x, width) == argmax(reference, ref, width);
      ++rows;
    }
  return {};
}

double Similarity::sqnr() const { return 10 * std::log10(signal / noise); }

Status Perplexity::add(const Tensor &logits, int64_t first, int64_t skip, const Tensor &tokens) {
  int64_t length = tokens.shape[1] - 1;
  if (logits.shape.size() != 3 || logits.shape[1] != length)
    return Status::refused("output '" + logits.name + "' is " + typeString(logits) +
                           ", expected logits [rows, " + std::to_string(length) + ", vocabulary]");
  int64_t vocabulary = logits.shape[2];
  for (int64_t s = skip; s < logits.shape[0]; ++s)
    for (int64_t t = 0; t < length; ++t) {
      int64_t label = tokens.asInt((first + s) * (length + 1) + t + 1);
      if (label < 0 || label >= vocabulary)
        return Status::refused("token " + std::to_string(label) + " of row " +
                               std::to_string(first + s) + " is outside the vocabulary of " +
                               std::to_string(vocabulary));
      int64_t at = (s * length + t) * vocabulary;
      double max = logits.asDouble(at + argmax(logits, at, vocabulary)), sum = 0;
      for (int64_t v = 0; v < vocabulary; ++v)
        sum += std::exp(logits.asDouble(at + v) - max);
      negativeLogLikelihood += std::log(sum) + max - logits.asDouble(at + label);
      ++count;
    }
  return {};
}

double Perplexity::value() const { return std::exp(negativeLogLikelihood / count); }

Status appendEmbeddings(const Tensor &output, int64_t first, int64_t skip, const Tensor *mask,
                        std::vector<double> &embeddings, int64_t &hidden) {
  bool pooled = output.shape.size() == 2;
  bool fits = pooled || (output.shape.size() == 3 &&
                         (!mask || (mask->shape.size() == 2 && mask->shape[1] == output.shape[1])));
  if (!fits || output.numElements() == 0)
    return Status::refused("output '" + output.name + "' is " + typeString(output) +
                           ", expected [samples, hidden], or [samples, tokens, hidden] with as "
                           "many tokens as attention_mask");
  int64_t tokens = pooled ? 1 : output.shape[1];
  hidden = output.shape.back();
  for (int64_t s = skip; s < output.shape[0]; ++s) {
    std::vector<double> mean(hidden);
    for (int64_t t = 0; t < tokens; ++t) {
      if (!pooled && mask && mask->asInt((first + s) * tokens + t) == 0)
        continue;
      for (int64_t h = 0; h < hidden; ++h)
        mean[h] += output.asDouble((s * tokens + t) * hidden + h);
    }
    // Dividing by the number of tokens would be undone by the normalisation.
    double norm = 0;
    for (double x : mean)
      norm += x * x;
    norm = std::sqrt(norm);
    for (double x : mean)
      embeddings.push_back(norm > 0 ? x / norm : 0);
  }
  return {};
}

std::vector<int64_t> nearest(const std::vector<double> &queries,
                             const std::vector<double> &documents, int64_t hidden) {
  std::vector<int64_t> best;
  for (size_t q = 0; q < queries.size(); q += hidden) {
    double largest = -std::numeric_limits<double>::infinity();
    int64_t index = 0;
    for (size_t d = 0; d < documents.size(); d += hidden) {
      double dot = 0;
      for (int64_t h = 0; h < hidden; ++h)
        dot += queries[q + h] * documents[d + h];
      if (dot > largest)
        largest = dot, index = d / hidden;
    }
    best.push_back(index);
  }
  return best;
}

} // namespace sq
