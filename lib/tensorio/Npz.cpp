#include "lib/tensorio/Npz.h"

#include <algorithm>
#include <cstring>

namespace sq {
namespace {

// PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
constexpr uint32_t kLocal = 0x04034b50, kEntry = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30, kEntrySize = 46, kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20;
constexpr uint64_t kMaxDirectory = 64 << 20; // bounds the allocation: half a million arrays
constexpr uint32_t kIn64 = 0xffffffff;

template <typename T>
T at(const uint8_t *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

class Archive {
public:
  explicit Archive(const InputFile &file) : file(file) {}

  Status list(std::vector<NpzMember> &members) {
    uint64_t begin, size;
    if (Status s = findDirectory(begin, size); !s.ok())
      return s;
    if (size > kMaxDirectory || begin > file.size() || size > file.size() - begin)
      return bad("its directory lies outside of the file");
    std::vector<uint8_t> directory(size);
    if (Status s = file.read(begin, directory.data(), size); !s.ok())
      return s;
    for (size_t pos = 0; pos < size;) {
      const uint8_t *entry = directory.data() + pos;
      if (size - pos < kEntrySize || at<uint32_t>(entry) != kEntry)
        return bad("its directory is malformed");
      size_t nameSize = at<uint16_t>(entry + 28), extraSize = at<uint16_t>(entry + 30);
      size_t whole = kEntrySize + nameSize + extraSize + at<uint16_t>(entry + 32);
      if (whole > size - pos)
        return bad("its directory is malformed");
      if (Status s = addMember(entry, nameSize, extraSize, members); !s.ok())
        return s;
      pos += whole;
    }
    return {};
  }

private:
  Status bad(const std::string &why) const {
    return Status::refused("'" + file.path() + "' is not a readable .npz file: " + why);
  }

  /// The end record is the last thing of the file but for a comment.
  Status findDirectory(uint64_t &begin, uint64_t &size) {
    size_t tailSize = std::min<uint64_t>(file.size(), kEndSize + 65535 + kLocator64Size);
    if (tailSize < kEndSize)
      return bad("it has only " + std::to_string(file.size()) + " bytes");
    std::vector<uint8_t> tail(tailSize);
    uint64_t tailAt = file.size() - tailSize;
    if (Status s = file.read(tailAt, tail.data(), tailSize); !s.ok())
      return s;
    size_t end = tailSize - kEndSize;
    while (end && at<uint32_t>(&tail[end]) != kEnd)
      --end;
    if (at<uint32_t>(&tail[end]) != kEnd)
      return bad("it has no zip directory, or is truncated");
    size = at<uint32_t>(&tail[end + 12]);
    begin = at<uint32_t>(&tail[end + 16]);
    if (end < kLocator64Size || at<uint32_t>(&tail[end - kLocator64Size]) != kLocator64)
      return {};
    uint8_t end64[kEnd64Size];
    if (Status s = file.read(at<uint64_t>(&tail[end - kLocator64Size + 8]), end64, sizeof end64); !s.ok())
      return s;
    if (at<uint32_t>(end64) != kEnd64)
      return bad("its zip64 directory is malformed");
    size = at<uint64_t>(end64 + 40);
    begin = at<uint64_t>(end64 + 48);
    return {};
  }

  Status addMember(const uint8_t *entry, size_t nameSize, size_t extraSize, std::vector<NpzMember> &members) {
    std::string name(reinterpret_cast<const char *>(entry + kEntrySize), nameSize);
    std::string suffix = ".npy";
    if (name.size() <= suffix.size() || name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0)
      return bad("it holds '" + name + "', expected .npy arrays only");
    name.resize(name.size() - suffix.size());
    for (const NpzMember &other : members)
      if (other.name == name)
        return bad("it holds '" + name + "' twice");
    if (at<uint16_t>(entry + 8) & 1)
      return bad("'" + name + "' is encrypted");
    if (at<uint16_t>(entry + 10) != 0)
      return bad("'" + name + "' is compressed; save it with numpy.savez instead of savez_compressed");
    uint64_t stored = at<uint32_t>(entry + 20), size = at<uint32_t>(entry + 24), local = at<uint32_t>(entry + 42);
    // Zip64: fields that are all ones follow in 64 bits, in this order.
    const uint8_t *extra = entry + kEntrySize + nameSize, *extraEnd = extra + extraSize;
    while (extraEnd - extra >= 4) {
      uint16_t id = at<uint16_t>(extra), length = at<uint16_t>(extra + 2);
      const uint8_t *field = extra + 4;
      if (length > extraEnd - field)
        return bad("the directory entry of '" + name + "' is malformed");
      extra = field + length;
      if (id != 1)
        continue;
      for (uint64_t *value : {&size, &stored, &local})
        if (*value == kIn64 && extra - field >= 8) {
          *value = at<uint64_t>(field);
          field += 8;
        }
    }
    uint8_t header[kLocalSize];
    if (Status s = file.read(local, header, sizeof header); !s.ok())
      return s;
    uint64_t offset = local + kLocalSize + at<uint16_t>(header + 26) + at<uint16_t>(header + 28);
    if (at<uint32_t>(header) != kLocal || stored != size || offset > file.size() || size > file.size() - offset)
      return bad("'" + name + "' lies outside of the file");
    members.push_back({name, offset, size});
    return {};
  }

  const InputFile &file;
};

} // namespace

Status listNpz(const InputFile &file, std::vector<NpzMember> &members) {
  members.clear();
  return Archive(file).list(members);
}

} // namespace sq
