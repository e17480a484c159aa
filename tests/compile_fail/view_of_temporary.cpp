// A view would outlive the elements that it looks at.
// error: deleted (member )?function.*view
#include <autograd/tensor.hpp>

auto dangling() { return xg::Tensor(1.0).view<double>(); }
