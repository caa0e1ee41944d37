//===-- Neighbours.cpp - why two kernels are two -----------------------------===//
//
// The fusing passes work on a graph that is gone by now; what they could not do
// still shows in the schedule, as the kinds of the two kernels and the buffer
// between them decide it.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/Neighbours.h"

#include "llvm/ADT/STLExtras.h"

using namespace sq;

static std::string reasonFor(const ScheduledKernel &producer, const ScheduledKernel &consumer,
                             bool output, size_t writers, size_t readers) {
  auto is = [](const ScheduledKernel &kernel, std::initializer_list<const char *> kinds) {
    return llvm::is_contained(kinds, kernel.kind);
  };
  if (writers > 1)
    return std::to_string(writers) + " kernels write it, each a part";
  if (readers > 1)
    return std::to_string(readers) + " kernels read it; fused into each, it would be computed as often";
  if (output)
    return "it is an output of the model, written in any case";
  if (is(consumer, {"attention"}))
    return "attention reads the keys and values of all tokens before its first result";
  if (is(consumer, {"layer_norm", "softmax"}))
    return consumer.kind + " needs whole rows" +
           (is(producer, {"matmul"}) ? ", the product makes tiles of columns"
                                     : " and reads them more than once");
  if (is(consumer, {"matmul"})) {
    if (is(producer, {"matmul", "attention"}))
      return "every result of the product needs a whole row of it";
    if (is(producer, {"layer_norm", "softmax"}))
      return "the product reads a row once per panel of columns; " + producer.kind +
             " would run as often";
    return "elementwise ops are fused into the product before them; in the one after them they "
           "would run once per panel of columns";
  }
  if (is(producer, {"matmul"}))
    return is(consumer, {"reduction"})
               ? "the product makes tiles of columns, the reduction wants them in its own order"
               : "an epilogue takes f32 operands shaped like the result or like one row of it, in "
                 "the order of the result";
  if (is(producer, {"attention", "layer_norm", "softmax"}))
    return producer.kind + " takes no epilogue";
  if (is(producer, {"reduction"}))
    return "a sum is known only after its last element";
  if (is(consumer, {"copy"}) || is(producer, {"copy"}))
    return "the copy changes the layout or fills a part";
  return "a reshape lies between them, or their loops differ";
}

namespace {

/// What a buffer holds between two times that it is written.
struct Content {
  std::vector<int> writers, readers;
};

/// A kernel that reads and writes a buffer reads the old content.
std::vector<Content> contentsOf(const ScheduledBuffer &buffer) {
  std::vector<Content> contents(1);
  for (int kernel = buffer.first(); kernel <= buffer.last(); ++kernel) {
    if (llvm::is_contained(buffer.readers, kernel))
      contents.back().readers.push_back(kernel);
    if (!llvm::is_contained(buffer.writers, kernel))
      continue;
    if (!contents.back().readers.empty())
      contents.emplace_back();
    contents.back().writers.push_back(kernel);
  }
  return contents;
}

} // namespace

std::vector<Neighbours> sq::findNeighbours(const Schedule &schedule) {
  std::vector<Neighbours> result;
  for (auto [index, buffer] : llvm::enumerate(schedule.buffers)) {
    if (buffer.kind != ScheduledBuffer::Arena && buffer.kind != ScheduledBuffer::Output)
      continue;
    for (const Content &content : contentsOf(buffer))
      for (int writer : content.writers)
        for (int reader : content.readers)
          result.push_back({writer, reader, static_cast<int>(index),
                            reasonFor(schedule.kernels[writer], schedule.kernels[reader],
                                      buffer.kind == ScheduledBuffer::Output, content.writers.size(),
                                      content.readers.size())});
  }
  llvm::sort(result, [](const Neighbours &a, const Neighbours &b) {
    return std::tie(a.producer, a.consumer, a.buffer) < std::tie(b.producer, b.consumer, b.buffer);
  });
  return result;
}
