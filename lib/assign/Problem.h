/// What is to be decided: layers, the choices that each has, and groups of layers that are decided as one.
#ifndef SQ_LIB_ASSIGN_PROBLEM_H
#define SQ_LIB_ASSIGN_PROBLEM_H

#include <cstdint>
#include <string>
#include <vector>

#include "llvm/ADT/ArrayRef.h"

#include "lib/tensorio/Tensor.h"

namespace sq::assign {

/// What a choice costs, and what a budget can be of. Bytes are those of the artifact, whose kernels pad and round what they
/// store; Counted is what the weight needs (codes, tables, scales, sparse part), which bits per weight are of.
enum class Cost { Bytes, Bops, Seconds, Counted };
inline constexpr int kNumCosts = 4;

/// A way to keep a layer, as far as there is a kernel for it.
struct Choice {
  std::string name;             // as plans call it: "int8", "lut4"; unique in a layer
  double weightBits = 0;        // what it counts with among equals, not its size
  double activationBits = 0;    // the same
  double loss = 0;              // expected increase of the loss, in one unit for all layers
  double costs[kNumCosts] = {}; // by Cost: bytes of the weight with all that belongs to it, ...
  bool isTimed = true;          // the seconds were measured, not computed

  double cost(Cost kind) const { return costs[static_cast<int>(kind)]; }
  double &cost(Cost kind) { return costs[static_cast<int>(kind)]; }
};

struct Layer {
  std::string name;
  /// Layers with the same one get the same choice: what a kernel call, or the bits of an input, joins.
  std::string tie;
  /// Of the weight. Layers with the same one are tied, and its bytes (of both kinds) and elements count once.
  std::string storage;
  int64_t elements = 0;        // of the weight
  std::vector<Choice> choices; // a single one: it is fixed
};

/// Layers that get the same choice.
struct Group {
  std::vector<size_t> layers; // in their order
  std::string name;           // of the first layer, with the number of others
  int64_t elements = 0;
  /// What all of them have, with the sums of loss and costs: most weight bits first, then most activation bits, then as
  /// in the first layer. A sum of seconds with computed ones counts as computed.
  std::vector<Choice> choices;
};

struct Groups {
  std::vector<Group> all; // in the order of their first layers
  std::vector<std::string> warnings;
};

/// Refuses losses and costs that are not finite, costs below zero, layers without choices, names that occur twice and
/// groups whose layers have no choice in common, each with the layers' names. A loss below zero (a trace that came out
/// negative) counts as 0, with a warning; so do losses that are all 0.
Status makeGroups(llvm::ArrayRef<Layer> layers, Groups &groups);

} // namespace sq::assign

#endif
