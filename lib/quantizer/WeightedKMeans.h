/// Exact weighted k-means of numbers: the table of few entries that a row of a
/// weight loses least with.
///
/// Minimises sum over j of f_j (w_j - c(w_j))^2 over k centroids c. In one
/// dimension clusters are contiguous in sorted order, so the optimum over all
/// of them is a shortest path: with D_c[j] the least cost of the first j values
/// in c clusters, D_c[j] = min over i < j of D_(c-1)[i] + cost(i, j). The cost
/// has the concave quadrangle inequality, so the leftmost argmin grows with j
/// and a layer takes O(n log n) (Wu 1991; Wang and Song, Ckmeans.1d.dp, 2011;
/// Groenlund et al., arXiv 1701.07204).
#ifndef SQ_LIB_QUANTIZER_WEIGHTEDKMEANS_H
#define SQ_LIB_QUANTIZER_WEIGHTEDKMEANS_H

#include <cstdint>
#include <string>
#include <vector>

#include "lib/tensorio/Tensor.h"

namespace sq::quantizer {

/// Refuses sensitivities that are NaN, infinite or negative: names the first
/// one by row and column. `values` is [n][k]; `what` starts the message.
Status checkSensitivities(const float *values, int64_t n, int64_t k,
                          const std::string &what);

/// Clusters rows one after the other; memory for the longest is kept. One
/// object per thread.
class WeightedKMeans {
public:
  /// The centroids of `count` finite values, `centroids` of them, ascending,
  /// into `result`. Values of weight 0 have no say; where all weights are 0,
  /// each is 1. `weights` may be null: all are 1. `removed` may be null; else
  /// what is not 0 there has no say either, even then. With fewer distinct
  /// values than centroids these are the values, and the largest is repeated; 0
  /// where there are none. Returns the objective: 0 in the latter case.
  ///
  /// Of equal costs the split of the lower index is taken. Sums are of double,
  /// of weights by the largest one: sensitivities may span all of float's
  /// range.
  double cluster(const float *values, const float *weights,
                 const uint8_t *removed, int64_t count, int centroids,
                 double *result);

private:
  /// Sorted distinct values with their weights, less the mean, and the prefix
  /// sums of these.
  double collect(const float *values, const float *weights,
                 const uint8_t *removed, int64_t count);
  void split(int centroids);

  struct Point {
    float value;
    float weight;
  };
  std::vector<Point> points;
  std::vector<double> distinct; // values as they are
  std::vector<double> x;        // [m]: these less their mean
  std::vector<double> s;        // [m]: sums of weights
  /// [m + 1]: sums of s, s x, s x^2 of what is in front.
  std::vector<double> mass, first, second;
  std::vector<double> before, now; // [m + 1]: D_(c-1), D_c
  /// [centroids][m + 1]: where the last of c clusters of the first j begins.
  std::vector<int32_t> splits;
  std::vector<int64_t> ends; // [centroids + 1]: of the clusters
  double scale = 1;          // of the weights
};

} // namespace sq::quantizer

#endif
