#include "lib/tensorio/Npy.h"

#include <cstring>

#include "lib/tensorio/File.h"

namespace sq {
namespace {

constexpr char magic[] = "\x93NUMPY";
constexpr size_t magicSize = 6;
// numpy's own headers are below 10000 bytes; this only bounds the allocation.
constexpr uint32_t maxHeader = 1 << 20;
constexpr size_t maxRank = 64; // numpy's limit

struct Descr {
  const char *text; // without the byte order
  DType dtype;
};
constexpr Descr descrs[] = {{"f4", DType::f32}, {"f8", DType::f64},  {"f2", DType::f16},
                            {"V2", DType::bf16}, {"i1", DType::i8},   {"u1", DType::u8},
                            {"i2", DType::i16}, {"u2", DType::u16},  {"i4", DType::i32},
                            {"u4", DType::u32}, {"i8", DType::i64},  {"u8", DType::u64},
                            {"b1", DType::bool8}};

/// The type that holds a tensor in a file: numpy itself has none of less than a byte and
/// no float of 8 bits. Integers keep their values, floats are stored as their codes.
DType fileType(DType dtype) {
  if (dtype == DType::i4 || dtype == DType::i2)
    return DType::i8;
  return valueBits(dtype) < 8 || smallFloatOf(dtype) ? DType::u8 : dtype;
}

/// The Python dictionary of the header: three known keys, each once.
class HeaderParser {
public:
  explicit HeaderParser(const std::string &text) : p(text.c_str()) {}

  /// An empty string, or what is wrong.
  std::string parse(DType &dtype, bool &fortran, std::vector<int64_t> &shape) {
    bool haveDescr = false, haveOrder = false, haveShape = false;
    if (!eat('{'))
      return "the header is not a dictionary";
    while (!eat('}')) {
      std::string key, value;
      if (!quoted(key) || !eat(':'))
        return "the header is not a dictionary of strings";
      if (key == "descr" && !haveDescr) {
        haveDescr = true;
        if (!quoted(value))
          return "structured element types are not supported";
        if (std::string why = descr(value, dtype); !why.empty())
          return why;
      } else if (key == "fortran_order" && !haveOrder) {
        haveOrder = true;
        fortran = word("True");
        if (!fortran && !word("False"))
          return "fortran_order is neither True nor False";
      } else if (key == "shape" && !haveShape) {
        haveShape = true;
        if (!tuple(shape))
          return "shape is not a tuple of up to 64 dims";
      } else {
        return "unexpected or repeated key '" + key + "' in the header";
      }
      if (!eat(',') && !peek('}'))
        return "the header is not a dictionary";
    }
    skip();
    if (*p || !haveDescr || !haveOrder || !haveShape)
      return "the header does not hold exactly descr, fortran_order and shape";
    return {};
  }

private:
  void skip() {
    while (*p == ' ' || *p == '\n' || *p == '\t')
      ++p;
  }
  bool peek(char c) {
    skip();
    return *p == c;
  }
  bool eat(char c) { return peek(c) && ++p; }
  bool word(const char *w) {
    skip();
    size_t n = std::strlen(w);
    if (std::strncmp(p, w, n) != 0)
      return false;
    p += n;
    return true;
  }
  bool quoted(std::string &text) {
    skip();
    char quote = *p;
    const char *end = quote == '\'' || quote == '"' ? std::strchr(p + 1, quote) : nullptr;
    if (!end)
      return false;
    text.assign(p + 1, end);
    p = end + 1;
    return true;
  }
  bool tuple(std::vector<int64_t> &shape) {
    if (!eat('('))
      return false;
    while (!eat(')')) {
      skip();
      if (*p < '0' || *p > '9' || shape.size() == maxRank)
        return false;
      int64_t dim = 0;
      for (; *p >= '0' && *p <= '9'; ++p)
        if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *p - '0', &dim))
          return false;
      shape.push_back(dim);
      if (!eat(',') && !peek(')'))
        return false;
    }
    return true;
  }
  static std::string descr(const std::string &value, DType &dtype) {
    bool order = !value.empty() && std::strchr("<>=|", value[0]);
    std::string type = order ? value.substr(1) : value;
    for (const Descr &d : descrs)
      if (type == d.text) {
        dtype = d.dtype;
        if (value[0] == '>' && byteWidth(dtype) > 1)
          return "elements are big endian ('" + value +
                 "'), expected little endian; convert with a.astype(a.dtype.newbyteorder('<'))";
        return {};
      }
    return "element type '" + value + "' is not supported";
  }

  const char *p; // null-terminated; an embedded null ends the header
};

} // namespace

Status NpyFile::open(const std::string &path) {
  file = std::make_shared<InputFile>();
  what = "'" + path + "'";
  if (Status s = file->open(path); !s.ok())
    return s;
  return readHeader(0, file->size());
}

Status NpyFile::open(std::shared_ptr<InputFile> archive, const std::string &name, uint64_t offset, uint64_t size) {
  file = std::move(archive);
  what = "'" + name + "' in '" + file->path() + "'";
  return readHeader(offset, size);
}

Status NpyFile::readHeader(uint64_t offset, uint64_t size) {
  auto bad = [&](const std::string &why) {
    return Status::refused(what + " is not a readable .npy file: " + why);
  };
  uint8_t start[12];
  if (size < sizeof start)
    return bad("it has only " + std::to_string(size) + " bytes");
  if (Status s = file->read(offset, start, sizeof start); !s.ok())
    return s;
  if (std::memcmp(start, magic, magicSize) != 0)
    return bad("it does not start with \\x93NUMPY");
  int version = start[6];
  if (version < 1 || version > 3)
    return bad("format version " + std::to_string(version) + ", expected 1 to 3");
  uint32_t length = start[8] | start[9] << 8;
  size_t headerAt = 10;
  if (version > 1) {
    length |= start[10] << 16 | static_cast<uint32_t>(start[11]) << 24;
    headerAt = 12;
  }
  if (length > maxHeader || length > size - headerAt)
    return bad("the header claims " + std::to_string(length) + " bytes of a file of " +
               std::to_string(size));
  std::string header(length, '\0');
  if (Status s = file->read(offset + headerAt, &header[0], length); !s.ok())
    return s;

  bool fortran;
  dims.clear();
  if (std::string why = HeaderParser(header).parse(type, fortran, dims); !why.empty())
    return bad(why);
  if (fortran && dims.size() > 1)
    return bad("Fortran order; save np.ascontiguousarray(a)");
  size_t expected;
  if (!byteSize(dims, byteWidth(type), expected))
    return bad("the shape " + typeString(type, dims) + " overflows");
  uint64_t given = size - headerAt - length;
  if (expected != given)
    return bad(typeString(type, dims) + " needs " + std::to_string(expected) +
               " bytes of data, given " + std::to_string(given));
  dataAt = offset + headerAt + length;
  return {};
}

Status NpyFile::read(Tensor &tensor) const {
  if (Status s = tensor.allocate(type, dims); !s.ok())
    return s;
  if (Status s = file->read(dataAt, tensor.bytes.data(), tensor.bytes.size()); !s.ok())
    return s;
  normalizeBools(tensor);
  return {};
}

Status NpyFile::readRows(int64_t begin, int64_t count, Tensor &tensor) const {
  std::vector<int64_t> shape = dims;
  shape[0] = 1;
  size_t row;
  if (!byteSize(shape, byteWidth(type), row))
    return Status::refused(what + " has rows of a size that overflows");
  shape[0] = count;
  if (Status s = tensor.allocate(type, std::move(shape)); !s.ok())
    return s;
  if (Status s = file->read(dataAt + begin * row, tensor.bytes.data(), tensor.bytes.size()); !s.ok())
    return s;
  normalizeBools(tensor);
  return {};
}

Status readNpy(const std::string &path, Tensor &tensor) {
  NpyFile file;
  if (Status s = file.open(path); !s.ok())
    return s;
  return file.read(tensor);
}

Status writeNpy(const std::string &path, const Tensor &tensor) {
  std::string header = "{'descr': '";
  for (const Descr &d : descrs)
    if (d.dtype == fileType(tensor.dtype))
      header += (byteWidth(d.dtype) == 1 ? "|" : "<") + std::string(d.text);
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : tensor.shape)
    header += std::to_string(dim) + ", ";
  header += "), }";
  // Data starts at a multiple of 64, the header ends in a line feed. A rank of
  // 64 stays below the 65535 bytes of version 1.
  constexpr size_t prefix = 10;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  std::string start(magic, magicSize);
  start += {'\1', '\0', static_cast<char>(header.size() & 255),
            static_cast<char>(header.size() >> 8)};
  start += header;
  return writeFile(path, {{start.data(), start.size()}, {tensor.bytes.data(), tensor.bytes.size()}});
}

} // namespace sq
