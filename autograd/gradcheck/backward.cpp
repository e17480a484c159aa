// Backward passes with mistakes in them.
#include "autograd/gradcheck/backward.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape_reader.hpp"

namespace xg::check {

using detail::inputs_of;
using detail::Node;
using detail::TapeMemory;
using detail::TapeReader;
using detail::text;

std::string layer_of(const std::string& parameter) {
  const auto point = parameter.rfind('.');
  if (point != std::string::npos) return parameter.substr(0, point);
  for (const std::string_view kind : {"weight", "bias", "w", "b", "W", "B"}) {
    if (!parameter.starts_with(kind)) continue;
    const std::string rest = parameter.substr(kind.size());
    if (rest.size() > 1 && rest[0] == '_') return rest.substr(1);
    if (!rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos) return rest;
  }
  return parameter;
}

Backward::Backward(const Tensor& loss, std::span<const ParameterRef> parameters)
    : tape_(TapeReader::of(loss, "compare_backprop")),
      dtype_(loss.dtype()),
      last_(TapeReader::find(tape_, loss, "compare_backprop")),
      needed_(last_ + 1, 0),
      layer_(last_ + 1, TapeReader::none),
      bent_(last_ + 1, 0) {
  for (const ParameterRef& p : parameters) {
    names_.push_back(p.name());
    shapes_.push_back(p.value().shape());
    sources_.push_back(TapeReader::find(tape_, p, "compare_backprop"));
    if (sources_.back() > last_) continue;
    needed_[sources_.back()] = 1;
    layer_[sources_.back()] = sources_.back();
  }
  const TapeMemory& m = TapeReader::memory(tape_);
  for (std::size_t n = 0; n <= last_; ++n) {
    if (!is_floating(m.nodes[n].output.dtype())) continue;
    for (const std::uint32_t input : inputs_of(m, m.nodes[n])) {
      if (!needed_[input]) continue;
      needed_[n] = 1;
      if (layer_[n] == TapeReader::none || layer_[input] > layer_[n]) {
        layer_[n] = layer_[input];
        bent_[n] = bent_[input];
      }
    }
    bent_[n] = bent_[n] || is_elementwise(n);
  }
}

std::optional<std::size_t> Backward::place(std::size_t parameter) const {
  return sources_[parameter] <= last_ ? std::optional(sources_[parameter]) : std::nullopt;
}

// Whether the rule multiplies the adjoint element by element with what is not one number; of one
// element, with what is not 1.
bool Backward::is_elementwise(std::size_t n) const {
  const TapeMemory& m = TapeReader::memory(tape_);
  const Node& node = m.nodes[n];
  if (!node.op || node.input_count != 1 || !needed_[n]) return false;
  const Node& x = m.nodes[inputs_of(m, node)[0]];
  const Shape& shape = node.output.shape();
  if (x.output.shape() != shape || x.output.dtype() != node.output.dtype()) return false;
  const NoRecording scope;
  const Tensor w = random_uniform(shape, Key{n}, node.output.dtype(), 0.5, 1);
  Tensor slope, weighted;
  try {
    slope = rules(n, Tensor::full(shape, 1, w.dtype()))[0];
    weighted = rules(n, w)[0];
  } catch (const Error&) {  // a rule of a user's may refuse an adjoint that never comes
    return false;
  }
  if (!slope.defined() || slope.shape() != shape || !weighted.defined()) return false;
  const double size = sum(abs(slope)).item();
  return sum(abs(weighted - w * slope)).item() <= 1e-5 * size &&
         sum(abs(slope - (slope.size() == 1 ? ones_like(slope) : mean(slope)))).item() >
             1e-5 * size;
}

std::vector<Tensor> Backward::rules(std::size_t n, const Tensor& g) const {
  const TapeMemory& m = TapeReader::memory(tape_);
  const Node& node = m.nodes[n];
  const auto inputs = inputs_of(m, node);
  const Record record = TapeReader::record(tape_, n);
  if (node.op->vjps) return node.op->vjps(node.op_state, g, record);
  std::vector<Tensor> result(inputs.size());
  if (!node.op->expand) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (needed_[inputs[i]]) result[i] = node.op->vjp(node.op_state, i, g, record);
    return result;
  }
  // Only the engine can go through what it records in the node's place, and take back. An input
  // that is listed twice has the whole where it is first.
  detail::Backward pass{const_cast<Tape&>(tape_), const_cast<TapeMemory&>(m),
                        std::vector<char>(last_ + 1, detail::unneeded),
                        std::vector<Tensor>(last_ + 1)};
  for (const std::uint32_t input : inputs)
    if (needed_[input]) pass.marks[input] = detail::source;
  pass.marks[n] = detail::needed;
  pass.adjoints[n] = g;
  pass.through(n, n + 1);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (needed_[inputs[i]]) result[i] = std::exchange(pass.adjoints[inputs[i]], {});
  return result;
}

std::vector<Tensor> Backward::gradients(const Change& change) const {
  const NoRecording scope;
  const TapeMemory& m = TapeReader::memory(tape_);
  std::vector<Tensor> adjoints(last_ + 1);
  adjoints[last_] = Tensor::full(m.nodes[last_].output.shape(), 1, dtype_);
  for (std::size_t n = last_ + 1; n-- > 0;) {
    if (!needed_[n] || !adjoints[n].defined()) continue;
    const auto inputs = inputs_of(m, m.nodes[n]);
    if (inputs.empty()) continue;
    const std::vector<Tensor> right = rules(n, adjoints[n]);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::uint32_t input = inputs[i];
      if (!needed_[input]) continue;
      const std::optional<Tensor> other = change(n, i, adjoints[n]);
      Tensor part = other ? *other : right[i];
      if (!part.defined()) continue;
      part = sum_to(part, m.nodes[input].output.shape());
      adjoints[input] = adjoints[input].defined() ? adjoints[input] + part : part;
    }
  }
  std::vector<Tensor> result;
  for (std::size_t k = 0; k < sources_.size(); ++k) {
    const bool arrives = sources_[k] <= last_ && adjoints[sources_[k]].defined();
    result.push_back(arrives ? cast(adjoints[sources_[k]], DType::float64) : zeros(shapes_[k]));
  }
  return result;
}

// "the sigmoid behind layer `hidden`, (10, 30)".
std::string Backward::where(std::size_t n) const {
  const Node& node = TapeReader::memory(tape_).nodes[n];
  std::string result = text(node.op->name);
  for (std::size_t k = 0; k < sources_.size(); ++k)
    if (sources_[k] == layer_[n]) result += text(" behind layer `", layer_of(names_[k]), '`');
  return text("the ", result, ", ", node.output.shape());
}

void Backward::for_each_mistake(const std::function<bool(const Mistake&)>& visit) const {
  const TapeMemory& m = TapeReader::memory(tape_);
  const std::size_t output = *std::max_element(layer_.begin(), layer_.end(), [](auto a, auto b) {
    return a + 1 < b + 1;  // none is the least
  });
  std::map<std::string_view, std::vector<std::size_t>> kinds;
  std::vector<std::size_t> bends;
  for (std::size_t n = 0; n <= last_; ++n)
    if (is_elementwise(n)) {
      bends.push_back(n);
      kinds[m.nodes[n].op->name].push_back(n);
    }
  // In the order of the backward pass.
  std::reverse(bends.begin(), bends.end());
  const auto symbol = [&](std::size_t n) {
    return derivative_symbol(detail::equation_of(m.nodes[n]), m.nodes[n].op->name);
  };
  // The book's equation in which this derivative stands, if it is that of an activation.
  const auto equation = [&](std::size_t n) -> std::string {
    if (bent_[inputs_of(m, m.nodes[n])[0]]) return "";
    return layer_[n] == output ? text("\n  BP1: δ^L = ∇_a C ⊙ ", symbol(n), "(z^L)")
                               : text("\n  BP2: δ^l = ((w^(l+1))ᵀ δ^(l+1)) ⊙ ", symbol(n), "(z^l)");
  };
  const auto made = [&](Verdict verdict, const std::string& words, const Change& change) {
    std::vector<Tensor> result;
    try {
      result = gradients(change);
    } catch (const Error&) {  // a rule of a user's may refuse what the mistake makes of an adjoint
      return false;
    }
    return visit({verdict, words, std::move(result)});
  };
  for (const std::size_t n : bends) {
    const auto at_n = [n](const auto& f) -> Change {
      return [n, f](std::size_t node, std::size_t, const Tensor& g) -> std::optional<Tensor> {
        if (node != n) return std::nullopt;
        return f(g);
      };
    };
    if (made(Verdict::missing_factor,
             text(symbol(n), "(z) is forgotten where z goes into ", where(n), equation(n)),
             at_n([](const Tensor& g) { return g; })))
      return;
    if (made(Verdict::missing_factor,
             text(symbol(n), "(z) is there twice where z goes into ", where(n), equation(n)),
             at_n([&](const Tensor& g) {
               const Tensor once = rules(n, g)[0];
               return once.defined() ? rules(n, once)[0] : once;
             })))
      return;
    if (const Tensor& y = m.nodes[n].output; y.defined())  // kept
      try {
        const Tensor slope =
            cast(elementwise_derivative(detail::operation_of(m.nodes[n]), cast(y, DType::float64)),
                 y.dtype());
        if (slope.defined() &&
            made(Verdict::missing_factor,
                 text(symbol(n), " is taken at the output a instead of the input z of ", where(n),
                      equation(n)),
                 at_n([&](const Tensor& g) { return g * slope; })))
          return;
      } catch (const Error&) {  // not defined there
      }
  }
  for (const auto& kind : kinds) {
    const std::vector<std::size_t>& nodes = kind.second;
    if (nodes.size() < 2) continue;
    if (made(Verdict::missing_factor,
             text(symbol(nodes[0]), "(z) is forgotten at all ", nodes.size(), " places of ",
                  kind.first, equation(nodes.front())),
             [&](std::size_t n, std::size_t, const Tensor& g) -> std::optional<Tensor> {
               if (std::find(nodes.begin(), nodes.end(), n) == nodes.end()) return std::nullopt;
               return g;
             }))
      return;
  }
  std::vector<std::size_t> uses(last_ + 1, 0);
  for (std::size_t n = 0; n <= last_; ++n)
    for (const std::uint32_t input : inputs_of(m, m.nodes[n])) uses[input] += needed_[n] ? 1 : 0;
  for (std::size_t n = last_ + 1; n-- > 0;)
    for (std::size_t i = 0; needed_[n] && i < m.nodes[n].input_count; ++i) {
      const std::uint32_t input = inputs_of(m, m.nodes[n])[i];
      if (!needed_[input] || uses[input] < 2) continue;
      if (made(Verdict::wrong,
               text("the path through input ", i, " of ", where(n),
                    " is left out; what stands"
                    " there is used ",
                    uses[input], " times, and its error is the sum over all"),
               [&](std::size_t node, std::size_t k, const Tensor&) {
                 return node == n && k == i ? std::optional<Tensor>(Tensor()) : std::nullopt;
               }))
        return;
    }
}

}  // namespace xg::check
