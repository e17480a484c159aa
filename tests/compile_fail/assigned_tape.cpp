// Two tapes with the same nodes would be two truths.
// error: deleted (function|operator|copy assignment operator)
#include <autograd/tape.hpp>

void overwrite(xg::Tape& to, const xg::Tape& from) { to = from; }
