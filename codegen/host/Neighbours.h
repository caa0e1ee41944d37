/// Which kernels pass a buffer to each other, and why they are two.
#ifndef SQ_CODEGEN_HOST_NEIGHBOURS_H
#define SQ_CODEGEN_HOST_NEIGHBOURS_H

#include "codegen/common/Schedule.h"

namespace sq {

struct Neighbours {
  int producer, consumer, buffer;
  std::string reason; // what keeps sq from fusing them, as a clause
};

/// One entry for each pair of kernels and buffer between them, in the order of
/// the producers. Scratch memory of one kernel joins nothing.
std::vector<Neighbours> findNeighbours(const Schedule &schedule);

} // namespace sq

#endif
