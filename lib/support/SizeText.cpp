#include "lib/support/SizeText.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

namespace sq {
namespace {

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNamePart(char c) { return isLetter(c) || isDigit(c) || c == '.' || c == ':'; }

/// Recursive descent; every function returns false at the first error.
class Parser {
public:
  Parser(const std::string &text, const SizeSymbols &symbols) : at(text.c_str()), symbols(symbols) {}

  bool whole(double &value) { return sum(value) && !*skip(); }

private:
  const char *skip() {
    while (*at == ' ')
      ++at;
    return at;
  }
  bool take(char c) {
    if (*skip() != c)
      return false;
    ++at;
    return true;
  }

  bool sum(double &value) {
    // The depth of what a compiler writes is small; a damaged text must not
    // exhaust the stack.
    if (++depth > 100)
      return false;
    double sign = take('-') ? -1 : 1, term;
    if (!product(value))
      return false;
    value *= sign;
    while (*skip() == '+' || *at == '-') {
      sign = *at++ == '-' ? -1 : 1;
      if (!product(term))
        return false;
      value += sign * term;
    }
    --depth;
    return true;
  }

  bool product(double &value) {
    double factor;
    if (!power(value))
      return false;
    while (take('*')) {
      if (!power(factor))
        return false;
      value *= factor;
    }
    return true;
  }

  bool power(double &value) {
    if (!atom(value))
      return false;
    if (!take('^'))
      return true;
    double exponent;
    if (!isDigit(*skip()) || !number(exponent))
      return false;
    value = std::pow(value, exponent);
    return true;
  }

  bool number(double &value) {
    char *end;
    value = std::strtod(at, &end);
    at = end;
    return true;
  }

  bool atom(double &value) {
    if (take('('))
      return sum(value) && take(')');
    if (isDigit(*at))
      return number(value);
    std::string name;
    if (take('\'')) {
      while (*at && (*at != '\'' || at[1] == '\'')) {
        at += *at == '\'';
        name += *at++;
      }
      return take('\'') && symbols(name, value);
    }
    if (!isLetter(*at))
      return false;
    while (isNamePart(*at))
      name += *at++;
    if (*at != '(')
      return symbols(name, value);
    ++at;
    if (take(')'))
      return name == "threads" && symbols("threads()", value);
    double next;
    if (!sum(value) || *skip() != ',')
      return false;
    bool many = name == "min" || name == "max";
    for (bool first = true; take(','); first = false)
      if (!sum(next) || !(first || many) || !apply(name, value, next, value))
        return false;
    return take(')');
  }

  static bool apply(const std::string &name, double a, double b, double &value) {
    if (name == "min" || name == "max") {
      value = (name == "min") == (a < b) ? a : b;
      return true;
    }
    if (b == 0)
      return false;
    if (name == "div")
      value = std::floor(a / b);
    else if (name == "ceil")
      value = std::ceil(a / b);
    else if (name == "mod")
      value = a - b * std::floor(a / b);
    else if (name == "align")
      value = b * std::ceil(a / b);
    else
      return false;
    return true;
  }

  const char *at;
  const SizeSymbols &symbols;
  int depth = 0;
};

} // namespace

bool evaluateSize(const std::string &text, const SizeSymbols &symbols, double &value) {
  double result;
  if (!Parser(text, symbols).whole(result))
    return false;
  value = result;
  return true;
}

std::string sizeSymbol(const std::string &name) {
  bool plain = !name.empty() && isLetter(name[0]);
  for (char c : name)
    plain = plain && isNamePart(c);
  if (plain)
    return name;
  std::string quoted = "'";
  for (char c : name)
    (quoted += c) += c == '\'' ? "'" : "";
  return quoted + "'";
}

} // namespace sq
