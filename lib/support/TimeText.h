/// Times for people.
#ifndef SQ_LIB_SUPPORT_TIMETEXT_H
#define SQ_LIB_SUPPORT_TIMETEXT_H

#include <string>

namespace sq {

/// "1.23 ms": three digits.
std::string timeText(double seconds);

} // namespace sq

#endif
