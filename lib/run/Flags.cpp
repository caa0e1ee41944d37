#include "lib/run/Flags.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/run/Module.h"

namespace sq {
namespace {

const Flag always[] = {{"help", nullptr, "print this and exit"},
                       {"version", nullptr, "print the version and exit"}};

} // namespace

const Flag *Flags::find(const std::string &name) const {
  for (const Flag &f : known)
    if (name == f.name)
      return &f;
  for (const Flag &f : always)
    if (name == f.name)
      return &f;
  return nullptr;
}

Status Flags::parse(int argc, const char *const *argv) {
  bool ended = false;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (ended || arg.size() < 2 || arg[0] != '-') {
      rest.push_back(arg);
      continue;
    }
    if (arg == "--") {
      ended = true;
      continue;
    }
    size_t equal = arg.find('=');
    bool hasValue = equal != std::string::npos;
    std::string name = arg.substr(0, equal);
    name = arg == "-h" ? "help" : name.substr(name.compare(0, 2, "--") == 0 ? 2 : 1);
    const Flag *flag = find(name);
    if (!flag)
      return Status::usage("unknown flag '" + arg.substr(0, equal) + "'; --help lists them");
    // `-o FILE`, as users know it of compilers.
    if (flag->value && !hasValue && arg.size() == 2 && i + 1 < argc) {
      arg += std::string("=") + argv[++i];
      equal = 2;
      hasValue = true;
    }
    if (flag->value && !hasValue)
      return Status::usage("--" + name + " needs a value: --" + name + "=" + flag->value);
    if (!flag->value && hasValue)
      return Status::usage("--" + name + " takes no value");
    if (!flag->repeatable && has(flag->name))
      return Status::usage("--" + name + " is given twice");
    given.push_back({name, hasValue ? arg.substr(equal + 1) : ""});
  }
  return {};
}

bool Flags::start(const char *tool, const char *usage, int argc, const char *const *argv, int &code) {
  if (Status s = parse(argc, argv); !s.ok()) {
    code = report(tool, s);
    return true;
  }
  code = 0;
  if (has("help"))
    printHelp(usage);
  else if (has("version"))
    std::printf("sq %s\n", sq_runtime_version());
  else
    return false;
  return true;
}

std::vector<std::string> Flags::all(const char *name) const {
  std::vector<std::string> values;
  for (const auto &entry : given)
    if (entry.first == name)
      values.push_back(entry.second);
  return values;
}

std::string Flags::get(const char *name, const char *fallback) const {
  std::vector<std::string> values = all(name);
  return values.empty() ? fallback : values.back();
}

Status Flags::size(const char *name, uint64_t &bytes) const {
  if (!has(name))
    return {};
  std::string text = get(name);
  int shift = 0;
  for (auto [suffix, bits] : {std::pair('K', 10), std::pair('M', 20), std::pair('G', 30)})
    if (!text.empty() && text.back() == suffix)
      shift = bits;
  int64_t number;
  if (!parseInteger(shift ? text.substr(0, text.size() - 1) : text, 1, INT64_MAX >> 30, number))
    return Status::usage(std::string("--") + name + "=" + text + " is no size; give bytes, or a number with K, M or G");
  bytes = uint64_t(number) << shift;
  return {};
}

Status Flags::number(const char *name, double min, double max, double &value) const {
  if (!has(name))
    return {};
  std::string text = get(name);
  char *end = nullptr;
  double parsed = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !(parsed >= min && parsed <= max)) {
    char range[80];
    std::snprintf(range, sizeof range, "a number from %g to %g", min, max);
    return Status::usage(std::string("--") + name + "=" + text + ": expected " + range);
  }
  value = parsed;
  return {};
}

Status Flags::integer(const char *name, int64_t min, int64_t max, int64_t &value) const {
  if (!has(name) || parseInteger(get(name), min, max, value))
    return {};
  return Status::usage(std::string("--") + name + "=" + get(name) + ": expected an integer from " +
                       std::to_string(min) + " to " + std::to_string(max));
}

void Flags::printHelp(const char *usage) const {
  std::printf("%s\nFlags:\n", usage);
  constexpr int column = 26;
  auto print = [](const Flag &f) {
    std::string head = std::string("  --") + f.name + (f.value ? "=" : "") + (f.value ? f.value : "");
    if (head.size() + 1 < column)
      std::printf("%-*s", column, head.c_str());
    else
      std::printf("%s\n%*s", head.c_str(), column, "");
    for (const char *line = f.help;;) {
      size_t n = std::strcspn(line, "\n");
      std::printf("%.*s\n", static_cast<int>(n), line);
      if (!line[n])
        break;
      line += n + 1;
      std::printf("%*s", column, "");
    }
  };
  for (const Flag &f : known)
    print(f);
  for (const Flag &f : always)
    print(f);
}

Status parseDevice(const Flags &flags, std::string &device) {
  device = flags.get("device");
  int64_t number;
  if (!flags.has("device") || device == "cpu" || device == "cuda" || device == "auto" ||
      (device.compare(0, 5, "cuda:") == 0 && parseInteger(device.substr(5), 0, 1000000, number)))
    return {};
  return Status::usage("--device=" + device + ": expected cpu, cuda, cuda:N or auto");
}

bool parseInteger(const std::string &text, int64_t min, int64_t max, int64_t &value) {
  char *end = nullptr;
  errno = 0;
  long long parsed = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || errno || parsed < min || parsed > max)
    return false;
  value = parsed;
  return true;
}

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    size_t end = text.find(separator, at);
    parts.push_back(text.substr(at, end - at));
    if (end == std::string::npos)
      return parts;
    at = end + 1;
  }
}

} // namespace sq
