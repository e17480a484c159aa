// Operations taken off a tape.
#include "autograd/tape_reader.hpp"

#include <memory>
#include <new>

namespace xg::detail {

std::function<Tensor(std::span<const Tensor>)> operation_of(const Node& node) {
  const OpTable& op = *node.op;
  std::shared_ptr<void> state;
  if (node.op_state) {
    void* const place = ::operator new(op.size, std::align_val_t(op.alignment));
    const auto give_back = [alignment = op.alignment](void* p) {
      ::operator delete(p, std::align_val_t(alignment));
    };
    std::unique_ptr<void, decltype(give_back)> room(place, give_back);
    op.copy(node.op_state, place);
    static_cast<void>(room.release());
    state = std::shared_ptr<void>(place, [&op, give_back](void* p) {
      if (op.destroy) op.destroy(p);
      give_back(p);
    });
  }
  return [&op, state](std::span<const Tensor> x) {
    std::vector<const Tensor*> pointers;
    for (const Tensor& t : x) pointers.push_back(&t);
    return op.apply(state.get(), Inputs(pointers.data(), pointers.size()));
  };
}

std::string equation_of(const Node& node) {
  std::string equation = node.op->equation(node.op_state);
  if (const auto at = equation.find("{...}"); at != std::string::npos) {
    std::string all;
    for (std::uint32_t i = 0; i < node.input_count; ++i)
      all += text(i > 0 ? ", " : "", '{', i, '}');
    equation.replace(at, 5, all);
  }
  return equation;
}

}  // namespace xg::detail
