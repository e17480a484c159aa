// Everything of xgrad's core: tensors, operations, the tape and derivatives.
#pragma once

#include "autograd/compare_backprop.hpp"
#include "autograd/dtype.hpp"
#include "autograd/equations.hpp"
#include "autograd/error.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/matchers.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/parameter.hpp"
#include "autograd/random.hpp"
#include "autograd/shape.hpp"
#include "autograd/storage.hpp"
#include "autograd/tape.hpp"
#include "autograd/tensor.hpp"
#include "autograd/transforms.hpp"
#include "autograd/xtensor.hpp"
