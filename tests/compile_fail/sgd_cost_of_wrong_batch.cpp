// The cost of a step takes the batch.
// error: no matching (member )?function.*step
#include <autograd/ops.hpp>
#include <datasets/dataset.hpp>
#include <optim/optim.hpp>

void step(xg::optim::SGD& sgd, const xg::datasets::Batch& batch) {
  sgd.step(batch, [](const xg::Tensor& inputs) { return sum(inputs); });
}
