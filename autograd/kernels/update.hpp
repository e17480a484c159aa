// The parameter update, and the sum of chunks' gradients.
#pragma once

#include "autograd/tensor.hpp"

namespace xg::kernels {

/// out = w + factor * direction; `out` may be `w` itself. All of one shape and floating type.
void add_scaled(Tensor& out, const Tensor& w, double factor, const Tensor& direction);

/// out = wa * a + wb * b; `out` may be `a`. All of one shape and floating type.
void weighted_sum(Tensor& out, double wa, const Tensor& a, double wb, const Tensor& b);

}  // namespace xg::kernels
