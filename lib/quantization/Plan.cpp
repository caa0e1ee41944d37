#include "lib/quantization/Plan.h"

#include <set>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"

#include "lib/tensorio/File.h"

using namespace llvm;
using namespace sq;

static constexpr uint64_t kMaxPlanBytes = 64 << 20;
static constexpr size_t kMaxBraces = 256; // patterns that one with braces stands for
static constexpr size_t kShownNames = 3;
static constexpr size_t kLinesWithNames = 100; // to look for like ones takes its time

/// (LLVM's pattern points into its text.)
struct sq::Glob {
  explicit Glob(std::string text) : text(std::move(text)) {}
  const std::string text;
  GlobPattern pattern;
};

static constexpr std::pair<StringRef, LayerPrecision> kPrecisions[] = {
    {"int8", LayerPrecision::Int8},   {"f32", LayerPrecision::F32},     {"lut2", LayerPrecision::Lut2},
    {"lut3", LayerPrecision::Lut3},   {"lut4", LayerPrecision::Lut4},   {"rtn2", LayerPrecision::Rtn2},
    {"rtn3", LayerPrecision::Rtn3},   {"rtn4", LayerPrecision::Rtn4},   {"gptq2", LayerPrecision::Gptq2},
    {"gptq3", LayerPrecision::Gptq3}, {"gptq4", LayerPrecision::Gptq4},
    {"sym2", LayerPrecision::Sym2},   {"sym3", LayerPrecision::Sym3},   {"sym4", LayerPrecision::Sym4}};

int sq::weightBits(LayerPrecision precision) {
  switch (precision) {
  case LayerPrecision::F32:
  case LayerPrecision::Int8:
    return 0;
  case LayerPrecision::Lut2:
  case LayerPrecision::Rtn2:
  case LayerPrecision::Gptq2:
  case LayerPrecision::Sym2:
    return 2;
  case LayerPrecision::Lut3:
  case LayerPrecision::Rtn3:
  case LayerPrecision::Gptq3:
  case LayerPrecision::Sym3:
    return 3;
  case LayerPrecision::Lut4:
  case LayerPrecision::Rtn4:
  case LayerPrecision::Gptq4:
  case LayerPrecision::Sym4:
    return 4;
  }
  llvm_unreachable("all precisions have bits");
}

StringRef sq::precisionName(LayerPrecision precision) {
  for (auto [name, value] : kPrecisions)
    if (value == precision)
      return name;
  llvm_unreachable("all precisions have names");
}

std::optional<LayerPrecision> sq::findPrecision(StringRef name) {
  for (auto [known, value] : kPrecisions)
    if (known == name)
      return value;
  return std::nullopt;
}

static std::string knownPrecisions() {
  return join(map_range(kPrecisions, [](auto &entry) { return entry.first.str(); }), ", ");
}

/// For messages: one line, whatever the file holds.
static std::string shown(StringRef text) {
  std::string result;
  for (unsigned char c : text.take_front(200))
    result += c < 32 || c == 127 ? '?' : static_cast<char>(c);
  return "'" + result + (text.size() > 200 ? "..." : "") + "'";
}

/// Reads a name between quotes from the front of `text`.
static const char *parseQuoted(StringRef &text, std::string &name) {
  text = text.drop_front();
  while (!text.empty()) {
    char c = text.front();
    text = text.drop_front();
    if (c == '"')
      return nullptr;
    if (c == '\\') {
      if (text.empty())
        break;
      if (text.front() == '\\' || text.front() == '"') {
        c = text.front();
        text = text.drop_front();
      } else {
        unsigned byte = 0;
        if (text.size() < 2 || text.take_front(2).getAsInteger(16, byte))
          return "a backslash is followed by a backslash, a quote or two hexadecimal digits";
        c = static_cast<char>(byte);
        text = text.drop_front(2);
      }
    }
    name += c;
  }
  return "the closing quote is missing";
}

static StringRef withoutComment(StringRef text) {
  for (size_t at = text.find('#'); at != StringRef::npos; at = text.find('#', at + 1))
    if (at == 0 || isSpace(text[at - 1]))
      return text.take_front(at);
  return text;
}

Status Plan::parse(StringRef text, const std::string &path, Plan &plan) {
  plan.file = path;
  plan.lines.clear();
  std::string unknown;
  int number = 0;
  while (!text.empty()) {
    StringRef line;
    std::tie(line, text) = text.split('\n');
    ++number;
    std::string where = path + ":" + std::to_string(number) + ": ";
    line = line.trim();
    Line parsed;
    parsed.number = number;
    bool isName = line.starts_with("\"");
    StringRef rest = line, precision;
    if (isName) {
      if (const char *wrong = parseQuoted(rest, parsed.pattern))
        return Status::refused(where + wrong);
      rest = withoutComment(rest).trim();
      if (!rest.consume_front("="))
        return Status::refused(where + "expected = and a precision behind the name");
      precision = rest.trim();
    } else {
      rest = withoutComment(line).trim();
      if (rest.empty())
        continue;
      size_t sign = rest.rfind('=');
      if (sign == StringRef::npos)
        return Status::refused(where + "expected PATTERN = PRECISION, found " + shown(rest));
      parsed.pattern = rest.take_front(sign).trim().str();
      precision = rest.drop_front(sign + 1).trim();
    }
    if (parsed.pattern.empty())
      return Status::refused(where + "nothing in front of =; a pattern of layers belongs there");
    std::optional<LayerPrecision> found = findPrecision(precision);
    if (!found) {
      unknown += (unknown.empty() ? "" : "\n") + where + shown(precision) + " is no precision";
      continue;
    }
    parsed.precision = *found;
    if (!isName) {
      auto glob = std::make_shared<Glob>(parsed.pattern);
      Expected<GlobPattern> made = GlobPattern::create(glob->text, kMaxBraces);
      if (!made)
        return Status::refused(where + toString(made.takeError()) + "; put a name with such characters in double quotes");
      glob->pattern = std::move(*made);
      parsed.glob = std::move(glob);
    }
    plan.lines.push_back(std::move(parsed));
  }
  if (!unknown.empty())
    return Status::refused(unknown + "; known are " + knownPrecisions());
  return {};
}

Status Plan::read(const std::string &path, Plan &plan) {
  InputFile file;
  if (Status status = file.open(path); !status.ok())
    return status;
  if (file.size() > kMaxPlanBytes)
    return Status::refused("'" + path + "' is too large for a plan");
  std::string text(file.size(), 0);
  if (Status status = file.read(0, text.data(), text.size()); !status.ok())
    return status;
  return parse(text, path, plan);
}

bool Plan::Line::matches(const LayerNames &names) const {
  // A name with brackets is found as it stands, too.
  return any_of(names, [&](const std::string &name) { return name == pattern || (glob && glob->pattern.match(name)); });
}

bool Plan::Line::isExact() const { return !glob || StringRef(pattern).find_first_of("*?[{\\") == StringRef::npos; }

const Plan::Line *Plan::find(const LayerNames &names) const {
  for (const Line &line : reverse(lines))
    if (line.matches(names))
      return &line;
  return nullptr;
}

/// The names most like `pattern`, by the characters to change.
static std::string nearNames(StringRef pattern, ArrayRef<LayerNames> layers) {
  // Half of a pattern changed is another pattern.
  unsigned most = std::max<unsigned>(pattern.size() / 2, 2);
  std::set<std::pair<unsigned, std::string>> near;
  for (const LayerNames &names : layers)
    for (const std::string &name : names) {
      unsigned distance = pattern.edit_distance(name, /*AllowReplacements=*/true, most);
      if (distance > most)
        continue;
      near.emplace(distance, name);
      if (near.size() > kShownNames)
        near.erase(std::prev(near.end()));
    }
  std::string text;
  for (const auto &[distance, name] : near)
    text += (text.empty() ? "" : ", ") + shown(name);
  return text;
}

Status Plan::check(ArrayRef<LayerNames> layers) const {
  std::string message;
  size_t unknown = 0;
  for (const Line &line : lines) {
    if (any_of(layers, [&](const LayerNames &names) { return line.matches(names); }))
      continue;
    message += (message.empty() ? "" : "\n") + file + ":" + std::to_string(line.number) + ": no layer is called " +
               shown(line.pattern);
    std::string near = ++unknown <= kLinesWithNames ? nearNames(line.pattern, layers) : "";
    if (!near.empty())
      message += "; like it: " + near;
  }
  if (message.empty())
    return {};
  return Status::refused(message + (layers.empty() ? "\nthe model has no linear layers"
                                                   : "\n--emit-plan=FILE writes the names of all " +
                                                         std::to_string(layers.size()) + " layers"));
}

std::string sq::planLine(StringRef name, LayerPrecision precision, StringRef why) {
  bool isPlain = !name.empty() && all_of(name, [](unsigned char c) {
    return c > 32 && c != 127 && !StringRef("*?[]{}!^\\\"=#").contains(static_cast<char>(c));
  });
  std::string text = isPlain ? name.str() : "\"";
  if (!isPlain) {
    for (unsigned char c : name) {
      if (c == '"' || c == '\\')
        text += '\\';
      if (c >= 32 && c != 127)
        text += static_cast<char>(c);
      else
        text += {'\\', hexdigit(c >> 4), hexdigit(c & 15)};
    }
    text += '"';
  }
  text += " = " + precisionName(precision).str();
  if (why.empty())
    return text + "\n";
  std::string comment = why.str();
  std::replace_if(comment.begin(), comment.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  return text + "  # " + comment + "\n";
}
