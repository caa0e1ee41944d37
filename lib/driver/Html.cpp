#include "lib/driver/Html.h"

using namespace llvm;

const char sq::kHtmlHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>sq report</title><style>
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222; }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 2em }
table { border-collapse: collapse; width: 100% } td, th { padding: 2px 8px; text-align: left; vertical-align: top }
th { border-bottom: 1px solid #999; font-weight: 600 } tr:nth-child(even) { background: #f5f6f8 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
code, .f { font: 12px ui-monospace, monospace } .f { color: #667 }
.bar { display: inline-block; height: .7em; background: #4a7fb5; margin-right: 4px }
svg { width: 100%; height: auto; border: 1px solid #ccc } svg rect:hover { fill-opacity: 1 }
</style></head><body>
)";

std::string sq::htmlEscaped(StringRef text) {
  std::string result;
  for (char c : text)
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  return result;
}
