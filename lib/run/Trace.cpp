#include "lib/run/Trace.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "lib/tensorio/File.h"

namespace sq {
namespace {

__attribute__((format(printf, 2, 3))) void append(std::string &text, const char *format, ...) {
  char buffer[256];
  va_list args;
  va_start(args, format);
  std::vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  text += buffer;
}

void nameRow(std::string &text, const char *kind, size_t row, const std::string &name) {
  append(text, "{\"name\": \"%s\", \"ph\": \"M\", \"pid\": 1, \"tid\": %zu, \"args\": {\"name\": ", kind, row);
  text += quoted(name) + "}},\n";
}

} // namespace

void Trace::record(void *self, int32_t kernel, int32_t thread, int64_t begin, int64_t end) {
  // Every thread has a row of its own: nothing is shared.
  static_cast<Trace *>(self)->rows[thread + 1].push_back({kernel, begin, end});
}

Status Trace::start(Session &session, int threads) {
  rows.assign(threads + 1, {});
  for (std::vector<Event> &row : rows)
    row.reserve(1024); // no allocation while a usual model runs
  return fromRuntime(sq_session_set_trace(session.get(), record, this));
}

Status Trace::stop(Session &session) {
  return fromRuntime(sq_session_set_trace(session.get(), nullptr, nullptr));
}

Status Trace::write(const std::string &path, const std::string &title,
                    const std::vector<Kernel> &kernels) const {
  std::string text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  nameRow(text, "process_name", 0, title);
  size_t shown = rows.size() > 2 ? rows.size() : 1; // one thread: its shares are the launches
  for (size_t row = 0; row < shown; ++row) {
    nameRow(text, "thread_name", row, row ? "thread " + std::to_string(row - 1) : "launches");
    append(text, "{\"name\": \"thread_sort_index\", \"ph\": \"M\", \"pid\": 1, \"tid\": %zu, "
                 "\"args\": {\"sort_index\": %zu}},\n", row, row);
  }
  int64_t origin = rows[0].empty() ? 0 : rows[0][0].begin;
  for (size_t row = 0; row < shown; ++row)
    for (const Event &event : rows[row]) {
      const Kernel &kernel = kernels[event.kernel];
      text += "{\"name\": " + quoted(kernel.name);
      append(text, ", \"ph\": \"X\", \"pid\": 1, \"tid\": %zu, \"ts\": %.3f, \"dur\": %.3f, \"args\": {", row,
             1e-3 * (event.begin - origin), 1e-3 * (event.end - event.begin));
      if (row == 0) {
        text += "\"nodes\": " + quoted(kernel.nodes);
        if (kernel.work.flops >= 0)
          append(text, ", \"flops\": %.0f, \"Gflop/s\": %.4g", kernel.work.flops,
                 kernel.work.flops / (event.end - event.begin + 1e-3));
        if (kernel.work.bytes() >= 0)
          append(text, ", \"bytes_read\": %.0f, \"bytes_written\": %.0f", kernel.work.read,
                 kernel.work.written);
      }
      text += "}},\n";
    }
  text.replace(text.size() - 2, 2, "\n]}\n"); // the last comma
  return writeFile(path, {{text.data(), text.size()}});
}

} // namespace sq
