// A span would outlive the elements that it looks at.
// error: deleted (member )?function.*values
#include <autograd/tensor.hpp>

auto dangling() { return xg::Tensor(1.0).values<double>(); }
