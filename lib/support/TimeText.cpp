#include "lib/support/TimeText.h"

#include <cstdio>

std::string sq::timeText(double seconds) {
  const char *unit = "s";
  for (const char *next : {"ms", "us"}) {
    if (seconds >= 1 || seconds <= 0)
      break;
    seconds *= 1000;
    unit = next;
  }
  char text[40];
  std::snprintf(text, sizeof text, "%.3g %s", seconds, unit);
  return text;
}
