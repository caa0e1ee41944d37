//===-- PlaceBuffers.cpp - disjoint ranges for buffers that live together ----===//
//
// Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep
// neural net inference", section 5.2): the largest buffer first, each at the
// lowest place that is free while it lives. Sizes are symbolic, so a place is
// free only if that is certain for all dims; where it is not, the buffer goes
// behind all others of its time. Which order is best is judged with every dim
// taken as kTypicalDim.
//
// That looks at pairs of buffers. Where too many live together (thousands of
// results of one node) each takes the smallest slot that is free and certainly
// large enough, or makes one, as registers are given out in a linear scan: no
// worse where sizes are equal, and linear.
//
//===--------------------------------------------------------------------------===//

#include "codegen/common/PlaceBuffers.h"

#include "lib/support/SizeText.h"

#include <map>
#include <numeric>
#include <queue>
#include <set>

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kTypicalDim = 128;

/// Pairs of buffers that live together, and comparisons of formulas for one order, up to which
/// the greedy plan is tried: well below a second.
constexpr size_t kMostPairs = 1 << 20;
constexpr size_t kMostComparisons = 1 << 21;

/// Free slots that are looked at for one that is certainly large enough.
constexpr int kSlotsTried = 16;

/// Sizes of which it is not known which is larger.
class Maxima {
public:
  /// With every dim being kTypicalDim.
  double typical(const SymbolicSize &size) const {
    double value = 0;
    evaluateSize(
        size.text(),
        [&](const std::string &name, double &v) {
          auto maximum = typicals.find(name);
          v = maximum != typicals.end() ? maximum->second : name == "threads()" ? 2 : kTypicalDim;
          return true;
        },
        value);
    return value;
  }

  /// The larger of both; a symbol of its own where that is not known: a formula would
  /// double with each buffer that lies behind two others.
  SymbolicSize larger(const SymbolicSize &a, const SymbolicSize &b) {
    if (a.atLeast(b))
      return a;
    if (b.atLeast(a))
      return b;
    std::string &name = names[{a.text(), b.text()}];
    if (name.empty()) {
      name = "larger_" + std::to_string(names.size());
      typicals[name] = std::max(typical(a), typical(b));
    }
    return SymbolicSize::symbol(name);
  }

private:
  std::map<std::pair<std::string, std::string>, std::string> names;
  std::map<std::string, double> typicals;
};

/// A range of bytes, and the same with every dim being kTypicalDim.
struct Range {
  SymbolicSize begin = 0, end = 0;
  double typicalBegin = 0, typicalEnd = 0;
};

struct Planner {
  ArrayRef<ArenaBuffer> buffers;
  std::vector<double> typical;                    // sizes, by buffer
  std::vector<std::vector<unsigned>> overlapping; // buffers alive at the same time, ascending
  Maxima maxima;

  explicit Planner(ArrayRef<ArenaBuffer> buffers) : buffers(buffers) {
    std::map<std::string, double> known;
    for (const ArenaBuffer &buffer : buffers) {
      auto [it, fresh] = known.try_emplace(buffer.bytes.size.text());
      if (fresh)
        it->second = maxima.typical(buffer.bytes.size);
      typical.push_back(it->second);
    }
  }

  template <typename Key>
  std::vector<unsigned> sortedBy(Key key) const {
    std::vector<unsigned> order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](unsigned a, unsigned b) { return std::pair(key(a), a) < std::pair(key(b), b); });
    return order;
  }
  std::vector<unsigned> byFirst() const {
    return sortedBy([&](unsigned i) { return buffers[i].first; });
  }

  /// Sets `overlapping`; false when there are too many pairs.
  bool findOverlaps() {
    overlapping.assign(buffers.size(), {});
    std::vector<unsigned> alive;
    size_t pairs = 0;
    for (unsigned i : byFirst()) {
      llvm::erase_if(alive, [&](unsigned other) { return buffers[other].last < buffers[i].first; });
      if ((pairs += alive.size()) > kMostPairs)
        return false;
      for (unsigned other : alive) {
        overlapping[i].push_back(other);
        overlapping[other].push_back(i);
      }
      alive.push_back(i);
    }
    for (std::vector<unsigned> &others : overlapping)
      llvm::sort(others);
    return true;
  }

  struct Greedy {
    ArenaPlan plan;
    double typical = 0; // size of the arena
  };

  /// Places the buffers in `order`; fails when that takes too many comparisons.
  std::optional<Greedy> placeInOrder(std::vector<unsigned> order) {
    Greedy result;
    ArenaPlan &plan = result.plan;
    plan.places.resize(buffers.size());
    std::vector<std::optional<Range>> ranges(buffers.size());
    size_t comparisons = 0;
    auto atLeast = [&](const SymbolicSize &a, const SymbolicSize &b) { return ++comparisons, a.atLeast(b); };
    auto end = [&](unsigned i) -> const SymbolicSize & { return ranges[i]->end; };
    auto behindAll = [&](ArrayRef<unsigned> others, SymbolicSize &offset) {
      ArenaPlace place;
      for (unsigned other : others) {
        // One of several that are certainly equal or larger is enough.
        if (llvm::any_of(place.behind, [&](unsigned kept) { return atLeast(end(kept), end(other)); }))
          continue;
        llvm::erase_if(place.behind, [&](unsigned kept) { return atLeast(end(other), end(kept)); });
        place.behind.push_back(other);
      }
      for (unsigned other : place.behind)
        offset = maxima.larger(offset, end(other));
      return place;
    };
    for (unsigned i : order) {
      if (comparisons > kMostComparisons)
        return std::nullopt;
      std::vector<unsigned> around;
      for (unsigned other : overlapping[i])
        if (ranges[other])
          around.push_back(other);
      auto sorted = [&](double Range::*key) {
        std::vector<unsigned> result = around;
        llvm::sort(result, [&](unsigned a, unsigned b) {
          return std::pair((*ranges[a]).*key, a) < std::pair((*ranges[b]).*key, b);
        });
        return result;
      };
      std::vector<unsigned> byBegin = sorted(&Range::typicalBegin), byEnd = sorted(&Range::typicalEnd);
      // What begins below the end of the place at hand: the next one of it, and the largest end.
      auto next = byBegin.begin();
      double reached = 0;
      auto isFree = [&](const SymbolicSize &offset, double at) {
        for (; next != byBegin.end() && ranges[*next]->typicalBegin < at + typical[i]; ++next)
          reached = std::max(reached, ranges[*next]->typicalEnd);
        // What is not free for typical dims is not for all.
        if (reached > at)
          return false;
        SymbolicSize top = offset + buffers[i].bytes.size;
        return llvm::all_of(around, [&](unsigned other) {
          return atLeast(offset, end(other)) || atLeast(ranges[other]->begin, top);
        });
      };
      Range &range = ranges[i].emplace();
      ArenaPlace &place = plan.places[i];
      if (!isFree(0, 0)) {
        auto free = llvm::find_if(byEnd, [&](unsigned other) { return isFree(end(other), ranges[other]->typicalEnd); });
        if (free != byEnd.end()) {
          place.behind = {*free};
          range.begin = end(*free);
        } else {
          place = behindAll(around, range.begin);
        }
      }
      range.end = range.begin + buffers[i].bytes.size;
      range.typicalBegin = maxima.typical(range.begin);
      range.typicalEnd = maxima.typical(range.end);
    }
    // What another buffer lies behind does not reach the end.
    std::vector<bool> isBelow(buffers.size());
    for (const ArenaPlace &place : plan.places)
      for (unsigned below : place.behind)
        isBelow[below] = true;
    std::vector<unsigned> last;
    llvm::copy_if(order, std::back_inserter(last), [&](unsigned i) { return !isBelow[i]; });
    SymbolicSize size = 0;
    plan.end = behindAll(last, size);
    result.typical = maxima.typical(size);
    plan.order = std::move(order);
    return result;
  }

  /// The best of a few orders, if they are not too long to try.
  std::optional<ArenaPlan> placeGreedily() {
    if (!findOverlaps())
      return std::nullopt;
    std::vector<unsigned> orders[] = {
        sortedBy([&](unsigned i) { return -typical[i]; }),
        // Of equal size those first that stand in the way of few: the others go
        // behind the larger of two whose sizes cannot be compared.
        sortedBy([&](unsigned i) { return std::pair(-typical[i], overlapping[i].size()); }),
        sortedBy([](unsigned) { return 0; })};
    std::optional<Greedy> best;
    for (std::vector<unsigned> &order : orders) {
      std::optional<Greedy> made = placeInOrder(std::move(order));
      if (!made)
        return std::nullopt;
      if (!best || made->typical < best->typical)
        best = std::move(made);
    }
    return std::move(best->plan);
  }

  /// Every buffer in a slot, the slots in a row.
  ArenaPlan placeInSlots() const {
    std::vector<unsigned> makers;           // by slot: its first buffer, which is as large as it
    std::vector<unsigned> slots(buffers.size());
    std::set<std::pair<double, unsigned>> free; // by typical size
    using Busy = std::pair<int64_t, unsigned>;  // until, slot
    std::priority_queue<Busy, std::vector<Busy>, std::greater<Busy>> busy;
    for (unsigned i : byFirst()) {
      for (; !busy.empty() && busy.top().first < buffers[i].first; busy.pop())
        free.insert({typical[makers[busy.top().second]], busy.top().second});
      int tried = 0;
      auto slot = free.lower_bound({typical[i], 0});
      while (slot != free.end() && tried++ < kSlotsTried &&
             !buffers[makers[slot->second]].bytes.size.atLeast(buffers[i].bytes.size))
        ++slot;
      if (slot != free.end() && tried <= kSlotsTried) {
        slots[i] = slot->second;
        free.erase(slot);
      } else {
        slots[i] = makers.size();
        makers.push_back(i);
      }
      busy.push({buffers[i].last, slots[i]});
    }
    ArenaPlan plan;
    plan.order = makers;
    plan.places.resize(buffers.size());
    for (unsigned i = 0; i < buffers.size(); ++i) {
      if (slots[i])
        plan.places[i].behind = {makers[slots[i] - 1]};
      if (makers[slots[i]] != i)
        plan.order.push_back(i);
    }
    if (!makers.empty())
      plan.end.behind = {makers.back()};
    return plan;
  }
};

} // namespace

ArenaPlan sq::placeBuffers(ArrayRef<ArenaBuffer> buffers) {
  Planner planner(buffers);
  if (std::optional<ArenaPlan> plan = planner.placeGreedily())
    return std::move(*plan);
  return planner.placeInSlots();
}
