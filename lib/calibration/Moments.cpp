#include "lib/calibration/Moments.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/quantizer/Products.h"

using namespace sq;
using namespace sq::calibration;

Moments::Moments(size_t channels, const float *from, std::shared_ptr<const void> owner)
    : sums(channels), products(const_cast<float *>(from), [owner](float *) {}), isReadOnly(true) {}

size_t Moments::storedElements(size_t channels) {
  size_t last = channels ? (channels - 1) / kPanel * kPanel : 0;
  return channels ? place(last, last, channels) + (channels - last) * (channels - last) : 0;
}

/// Zeros, of which pages that are never written take no memory.
static std::shared_ptr<float> makeZeros(size_t count) {
  auto *zeros = static_cast<float *>(std::calloc(std::max<size_t>(count, 1), sizeof(float)));
  if (!zeros)
    throw std::bad_alloc();
  return {zeros, std::free};
}

float *Moments::writable() {
  if (products && !isReadOnly && products.use_count() == 1)
    return products.get();
  std::shared_ptr<float> mine = makeZeros(storedElements(channels()));
  if (products)
    std::memcpy(mine.get(), products.get(), storedElements(channels()) * sizeof(float));
  products = std::move(mine);
  isReadOnly = false;
  return products.get();
}

Status Moments::moveToFile(const std::string &folder) {
  size_t size = storedElements(channels()) * sizeof(float);
  std::string name = folder + "/sq-moments-XXXXXX";
  auto fault = [&](int error) {
    return Status::lacking("cannot make a file of " + std::to_string(size) + " bytes in '" + folder +
                           "' for second moments: " + std::strerror(error) +
                           "; allow more with --max-memory, or keep none with --moments=0");
  };
  int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0)
    return fault(errno);
  ::unlink(name.c_str());
  // The disk's space is taken now: a page that has none would be a signal later.
  int error = ::posix_fallocate(fd, 0, size);
  void *memory = error ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (!error && memory == MAP_FAILED)
    error = errno;
  ::close(fd);
  if (error)
    return fault(error);
  std::shared_ptr<float> mapped(static_cast<float *>(memory), [size](float *p) { ::munmap(p, size); });
  if (products)
    std::memcpy(mapped.get(), products.get(), size);
  products = std::move(mapped);
  isReadOnly = false;
  return {};
}

void Moments::add(const float *values, int64_t count, int64_t wanted, double phase) {
  int64_t width = channels(), taken = std::min(count, wanted);
  for (int64_t i = 0; i < taken; ++i) {
    int64_t row = taken == count ? i : static_cast<int64_t>((i + phase) * count / taken);
    const float *from = values + std::min(row, count - 1) * width;
    waiting.insert(waiting.end(), from, from + width);
  }
}

void Moments::flush() {
  int64_t width = channels(), count = width ? waiting.size() / width : 0;
  if (!count)
    return;
  float *to = writable();
  // Few rows at a time: their columns stay in the cache.
  constexpr int64_t kRows = 256;
  for (int64_t begin = 0; begin < count; begin += kRows) {
    int64_t depth = std::min(kRows, count - begin);
    const float *x = waiting.data() + begin * width;
    for (int64_t r = 0; r < depth; ++r)
      for (int64_t i = 0; i < width; ++i)
        sums[i] += x[r * width + i];
    for (int64_t first = 0; first < width; first += kPanel) {
      int64_t used = std::min<int64_t>(kPanel, width - first), across = width - first;
      float *panel = to + place(first, first, width);
      quantizer::addProducts(1.0f, x + first, width, x + first, width, panel, across, used, across, depth, /*upper=*/true);
      for (int64_t i = 1; i < used; ++i) // which of these are added depends on the CPU
        std::fill_n(panel + i * across, i, 0.0f);
    }
  }
  rows += count;
  waiting = {};
}

void Moments::merge(const Moments &other) {
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i] += other.sums[i];
  rows += other.rows;
  if (!other.products)
    return;
  float *to = writable();
  for (size_t i = 0, end = storedElements(channels()); i < end; ++i)
    to[i] += other.products.get()[i];
}

/// f(i, j, product) for i <= j.
template <typename F> static void forEach(const Moments &moments, F f) {
  size_t width = moments.channels();
  const float *row = moments.stored();
  for (size_t i = 0; i < width; ++i) {
    size_t first = i / Moments::kPanel * Moments::kPanel;
    for (size_t j = i; j < width; ++j)
      f(i, j, row[j - first]);
    row += width - first;
  }
}

std::vector<double> Moments::covariance() const {
  size_t width = channels();
  std::vector<double> result(width * width);
  if (rows && products)
    forEach(*this, [&](size_t i, size_t j, float sum) { result[i * width + j] = (sum - sums[i] * sums[j] / rows) / rows; });
  return result;
}

std::vector<double> Moments::secondMoments() const {
  size_t width = channels();
  std::vector<double> result(width * width);
  if (rows && products)
    forEach(*this, [&](size_t i, size_t j, float sum) { result[i * width + j] = double(sum) / rows; });
  return result;
}
