// A module has to say which parameters it has.
// error: abstract (class )?(type )?.*Model
#include <nn/nn.hpp>

using namespace xg;

struct Model : nn::Module {
  nn::Dense layer{2, 1};
  Tensor forward(const Tensor& x) const override { return layer(x); }
};

Model model;
