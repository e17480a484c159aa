// Tensors hold float, double and std::int64_t, no int.
// error: Element
#include <autograd/tensor.hpp>

const int* elements(const xg::Tensor& tensor) { return tensor.data<int>(); }
