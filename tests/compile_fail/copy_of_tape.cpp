// Two tapes with the same nodes would be two truths.
// error: deleted (function|constructor).*Tape
#include <autograd/tape.hpp>

void twice(const xg::Tape& tape) { xg::Tape copy = tape; }
