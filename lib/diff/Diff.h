/// How far two programs are apart, node by node.
#ifndef SQ_LIB_DIFF_DIFF_H
#define SQ_LIB_DIFF_DIFF_H

#include <map>
#include <optional>

#include "lib/diff/Side.h"
#include "llvm/Support/raw_ostream.h"

namespace sq::diff {

/// One value of both programs over all runs. A is what B is measured against.
struct Row {
  std::string name, op;
  bool isNode = false;
  int64_t elements = 0;
  double signal = 0, noise = 0;     // sums of a^2 and (b - a)^2
  double square = 0, product = 0;   // sums of b^2 and a b
  double maxAbs = 0;                // of b - a
  std::string mismatch;             // "[2, 3] and [3, 2]" when the shapes of a run differ

  /// 10 log10(signal / noise) in dB; infinity when equal, -infinity when the shapes differ.
  double sqnr() const;
  /// Of both as flat vectors; 1 when both are zero, 0 when one is.
  double cosine() const;

  void add(const Value &a, const Value &b);
};

/// From which value on a row counts as parted.
struct Limits {
  double minSqnr = 60; // dB
  std::optional<double> maxAbs;
  bool exceededBy(const Row &row) const;
};

struct Result {
  std::vector<Row> nodes, outputs; // of both programs; nodes in the model's order
  std::vector<std::string> onlyA, onlyB;
  int64_t runs = 0;

  /// Adds what one run gave.
  void add(const std::vector<Value> &a, const std::vector<Value> &b);
  /// The first node beyond the limits or, where no node is, the first output; null: none.
  const Row *firstParting(const Limits &limits) const;

private:
  std::map<std::pair<bool, std::string>, std::pair<bool, size_t>> places;
};

/// `top` 0: all nodes, else so many of the worst.
void printText(const Result &result, const Limits &limits, int64_t top, llvm::raw_ostream &os);
void printJson(const Result &result, const Limits &limits, const Side &a, const Side &b, llvm::raw_ostream &os);

} // namespace sq::diff

#endif
