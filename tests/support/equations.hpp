// Holds equations to their word: every statement is evaluated, in the order in which it is printed,
// and what comes out is compared with the tape's gradient.
#pragma once

#include "autograd/equations.hpp"
#include "autograd/equations/expression.hpp"
#include "autograd/tape_reader.hpp"
#include "tests/support/tensors.hpp"

namespace xg::test {

using Values = std::map<Symbol, Tensor>;

inline double distance(const Tensor& a, const Tensor& b) {
  const auto x = elements(a), y = elements(b);
  REQUIRE(x.size() == y.size());
  double difference = 0, largest = 1e-300;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (std::isnan(x[i]) || std::isnan(y[i])) return std::numeric_limits<double>::infinity();
    if (x[i] != y[i]) difference = std::max(difference, std::abs(x[i] - y[i]));
    largest = std::max(largest, std::abs(y[i]));
  }
  return difference / std::max(largest, 1e-3);
}
inline void require_close(const Tensor& a, const Tensor& b) { REQUIRE(distance(a, b) < 1e-12); }

/// Computes every statement in turn; steps have the same value, but for those of a whole batch that
/// the reading for one example begins with.
inline void run(const Reading& reading, Values& values) {
  for (const Statement& s : reading.forward) values[s.left] = evaluate(s.right, values);
  for (const Statement& s : reading.backward) {
    INFO(to_string(s.left) << " = " << to_string(s.right));
    const Tensor value = evaluate(s.right, values);
    for (const DerivationStep& step : s.steps) {
      if (step.of_batch) continue;
      INFO("step " << step.identity << ": " << to_string(step.result));
      require_close(evaluate(step.result, values), value);
    }
    values[s.left] = value;
  }
}

/// All statements of a folded reading, each layer's, in an order in which they can be computed.
inline Reading unfolded(const Reading& whole, int depth) {
  Reading result = whole;
  const Reading short_form = folded(whole, depth);
  std::map<Symbol, Expression> forward, backward;
  for (const Statement& s : short_form.forward)
    for (const Statement& one : xg::unfolded(s)) forward[one.left] = one.right;
  for (const Statement& s : short_form.backward)
    for (const Statement& one : xg::unfolded(s)) backward[one.left] = one.right;
  REQUIRE(forward.size() == whole.forward.size());
  REQUIRE(backward.size() == whole.backward.size());
  for (Statement& s : result.forward) s.right = forward.at(s.left);
  for (Statement& s : result.backward) s.right = backward.at(s.left);
  for (Statement& s : result.backward) s.steps.clear();
  return result;
}

inline Symbol derivative_of(Symbol s) {
  s.role = Symbol::Role::derivative;
  return s;
}

/// The adjoints that the tape has of the nodes that have a backward statement.
inline std::map<std::size_t, Tensor> adjoints_of(const Tensor& loss, const Reading& reading) {
  const auto& m = detail::TapeReader::memory(detail::TapeReader::of(loss, "test"));
  std::map<std::size_t, Tensor> result;
  for (const Statement& s : reading.backward) {
    const Tensor* const node = &m.nodes[s.node].output;
    Tensor& adjoint = result[s.node];
    pull_back(loss, ones(loss.shape(), loss.dtype()), Inputs(&node, 1), {&adjoint, 1});
    adjoint = adjoint.defined() ? detach(adjoint) : zeros(node->shape(), node->dtype());
  }
  return result;
}

/// The statements about the batch, and those about each example on average, give the gradient.
/// `leaves` are the tensors from outside in the order in which the tape met them.
inline Equations require_true(const Tensor& loss, const std::vector<Tensor>& leaves,
                              std::span<const ParameterRef> parameters = {}) {
  const Equations e = equations(loss, parameters);
  REQUIRE(e.leaves.size() == leaves.size());
  std::vector<Tensor> wrt, expected;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < leaves.size(); ++i)
    if (e.leaves[i].differentiated) {
      wrt.push_back(leaves[i]);
      places.push_back(i);
    }
  const NoRecording scope;
  expected = gradient(loss, wrt);
  const std::map<std::size_t, Tensor> adjoints = adjoints_of(loss, e.batch);
  for (const Reading& reading : {e.batch, unfolded(e.batch, e.depth)}) {
    Values values;
    for (std::size_t i = 0; i < leaves.size(); ++i)
      values[e.leaves[i].in_batch] = reshape(leaves[i], e.leaves[i].shape);
    run(reading, values);
    require_close(values.at({.letter = "C"}), loss);
    for (const Statement& s : reading.backward) {
      INFO("the batch's " << to_string(s.left));
      require_close(values.at(s.left), adjoints.at(s.node));
    }
    for (std::size_t k = 0; k < places.size(); ++k) {
      INFO("the batch's ∂C/∂" << to_string(e.leaves[places[k]].in_batch));
      require_close(values.at(derivative_of(e.leaves[places[k]].in_batch)), expected[k]);
    }
  }
  if (!e.example) {
    REQUIRE_FALSE(e.refusal.empty());
    return e;
  }
  // The steps that are said to be of the batch are those of the statement about the batch.
  for (std::size_t i = 0; i < e.batch.backward.size(); ++i) {
    const Statement &batch = e.batch.backward[i], &one = e.example->backward[i];
    REQUIRE(one.steps.size() > batch.steps.size());
    for (std::size_t k = 0; k < one.steps.size(); ++k) {
      const bool of_batch = k < batch.steps.size();
      REQUIRE(one.steps[k].of_batch == (of_batch ? std::optional(batch.left) : std::nullopt));
      if (of_batch) REQUIRE(algebra::same(one.steps[k].result, batch.steps[k].result));
    }
  }
  Reading folded_example = unfolded(*e.example, e.depth);
  for (const Reading& reading : {*e.example, folded_example}) {
    double cost = 0;
    std::vector<Tensor> average(places.size());
    for (std::int64_t x = 0; x < e.examples; ++x) {
      Values values;
      for (std::size_t i = 0; i < leaves.size(); ++i) {
        Tensor t = reshape(leaves[i], e.leaves[i].shape);
        if (e.leaves[i].has_rows)
          t = t.rank() == 2 ? transpose(slice(t, 0, x, x + 1)) : reshape(slice(t, 0, x, x + 1), {});
        else if (t.rank() == 1)
          t = reshape(t, {-1, 1});
        values[e.leaves[i].in_example] = t;
      }
      run(reading, values);
      for (const Statement& s : reading.backward) {
        const Tensor& adjoint = adjoints.at(s.node);
        if (s.left.role == Symbol::Role::derivative || adjoint.rank() == 0 ||
            adjoint.extent(0) != e.examples)
          continue;
        INFO("of example " << x << ", " << to_string(s.left));
        const Tensor row = slice(adjoint, 0, x, x + 1) * static_cast<double>(e.examples);
        require_close(values.at(s.left), transpose(reshape(row, {1, -1})));
      }
      const double share = 1 / static_cast<double>(e.examples);
      cost += values.at({.letter = "C"}).item() * share;
      for (std::size_t k = 0; k < places.size(); ++k) {
        const Tensor g = values.at(derivative_of(e.leaves[places[k]].in_example)) * share;
        average[k] = average[k].defined() ? average[k] + g : g;
      }
    }
    require_close(Tensor(cost), loss);
    for (std::size_t k = 0; k < places.size(); ++k) {
      INFO("the average ∂C/∂" << to_string(e.leaves[places[k]].in_example));
      require_close(average[k], expected[k]);
    }
  }
  return e;
}

/// "z^1 = w^1 a^0 + b^1 ..." of the reading for one example.
inline std::vector<std::string> lines(const std::vector<Statement>& statements) {
  std::vector<std::string> result;
  for (const Statement& s : statements)
    result.push_back(to_string(s.left) + " = " + to_string(s.right) +
                     (s.mark.empty() ? "" : " " + s.mark));
  return result;
}

}  // namespace xg::test
