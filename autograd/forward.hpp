// How a rule can compute the tangent of its result at once, where forward mode wants nothing else
// of it. Internal to autograd.
#pragma once

#include "autograd/tape.hpp"

namespace xg::detail {

struct Dual {
  /// Whether a tape in forward mode records.
  static bool active() noexcept;
  /// The tape that records, if it wants tangents alone; otherwise null.
  static Tape* tape() noexcept;
  /// Undefined for a constant.
  static Tensor tangent(const Tape& tape, const Tensor& tensor);
  /// Makes a result that was computed under NoRecording known to the tape.
  static void set_tangent(Tape& tape, const Tensor& tensor, const Tensor& tangent);
};

}  // namespace xg::detail
