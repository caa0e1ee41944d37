#include "lib/quantization/Plan.h"

#include <set>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
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

namespace {

struct Known {
  LayerPrecision precision;
  StringRef name;
  int bits;
};

} // namespace

static constexpr Known kPrecisions[] = {
    {LayerPrecision::Int8, "int8", 8}, {LayerPrecision::F32, "f32", 32}, {LayerPrecision::Bf16, "bf16", 16},
    {LayerPrecision::Int2, "int2", 2}, {LayerPrecision::Int3, "int3", 3}, {LayerPrecision::Int4, "int4", 4},
    {LayerPrecision::Int5, "int5", 5}, {LayerPrecision::Int6, "int6", 6}, {LayerPrecision::Int7, "int7", 7},
    {LayerPrecision::Lut2, "lut2", 2}, {LayerPrecision::Lut3, "lut3", 3}, {LayerPrecision::Lut4, "lut4", 4},
    {LayerPrecision::Rtn2, "rtn2", 2}, {LayerPrecision::Rtn3, "rtn3", 3}, {LayerPrecision::Rtn4, "rtn4", 4},
    {LayerPrecision::Rtn6, "rtn6", 6}, {LayerPrecision::Rtn8, "rtn8", 8}, {LayerPrecision::Gptq2, "gptq2", 2},
    {LayerPrecision::Gptq3, "gptq3", 3}, {LayerPrecision::Gptq4, "gptq4", 4}, {LayerPrecision::Sym2, "sym2", 2},
    {LayerPrecision::Sym3, "sym3", 3}, {LayerPrecision::Sym4, "sym4", 4}};

static const Known &known(LayerPrecision precision) {
  for (const Known &entry : kPrecisions)
    if (entry.precision == precision)
      return entry;
  llvm_unreachable("all precisions have names");
}

StringRef sq::precisionName(LayerPrecision precision) { return known(precision).name; }

int sq::precisionBits(LayerPrecision precision) { return known(precision).bits; }

std::optional<LayerPrecision> sq::findPrecision(StringRef name) {
  for (const Known &entry : kPrecisions)
    if (entry.name == name)
      return entry.precision;
  return std::nullopt;
}

static std::string knownPrecisions() {
  return join(map_range(kPrecisions, [](const Known &entry) { return entry.name.str(); }), ", ");
}

std::string LayerFormat::text() const {
  std::string text = precisionName(precision).str();
  if (group)
    text += "/" + std::to_string(*group);
  if (outliers)
    text += formatv("+{0}%", format("%.15g", *outliers)); // all digits that a plan can have
  return text;
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

/// What is behind the name of a precision; null when it was read.
static const char *parseDetails(StringRef text, LayerFormat &format) {
  StringRef name = precisionName(format.precision);
  bool isRtn = name.starts_with("rtn"), hasCodes = isRtn || name.starts_with("lut");
  if (text.consume_front("/")) {
    int64_t group = 0;
    if (!isRtn)
      return "only rtn has groups of inputs";
    if (text.consumeInteger(10, group) || group < 1)
      return "behind / belongs how many inputs share a scale, from 1 on";
    format.group = group;
  }
  if (text.consume_front("+")) {
    double share = 0;
    if (!hasCodes)
      return "only lut and rtn have weights that are kept apart";
    if (!text.consume_back("%") || text.getAsDouble(share) || !(share >= 0 && share <= 100))
      return "behind + belongs the share of weights that are kept apart, 0% to 100%";
    format.outliers = share;
    text = "";
  }
  return text.empty() ? nullptr : "nothing belongs behind it but /GROUP and +SHARE%";
}

/// The precision in front of its details.
static std::optional<LayerPrecision> leadingPrecision(StringRef text) {
  return findPrecision(text.take_until([](char c) { return c == '/' || c == '+'; }));
}

Status sq::parseFormat(StringRef text, LayerFormat &format) {
  std::optional<LayerPrecision> found = leadingPrecision(text);
  if (!found)
    return Status::refused(shown(text) + " is no precision; known are " + knownPrecisions());
  LayerFormat parsed(*found);
  if (const char *wrong = parseDetails(text.drop_front(precisionName(*found).size()), parsed))
    return Status::refused(shown(text) + ": " + wrong);
  format = parsed;
  return {};
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
    if (!leadingPrecision(precision)) {
      unknown += (unknown.empty() ? "" : "\n") + where + shown(precision) + " is no precision";
      continue;
    }
    if (Status status = parseFormat(precision, parsed); !status.ok())
      return Status::refused(where + status.message);
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

std::string sq::planLine(StringRef name, const LayerFormat &format, StringRef why) {
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
  text += " = " + format.text();
  if (why.empty())
    return text + "\n";
  std::string comment = why.str();
  std::replace_if(comment.begin(), comment.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  return text + "  # " + comment + "\n";
}
