// Sums of products in index notation, made of other operations: no rule of its own.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "autograd/op.hpp"
#include "autograd/ops.hpp"

namespace xg {
namespace {

using detail::text;

/// What the user wrote, in parts: the letters of each operand's axes, and those of the result.
struct Subscripts {
  std::vector<std::string> operands{""};
  std::string result;
};

std::string quoted(std::string_view subscripts) { return text("[einsum] \"", subscripts, "\": "); }

Subscripts parse(std::string_view subscripts, std::size_t operands) {
  const std::string start = quoted(subscripts);
  Subscripts s;
  bool arrow = false;
  for (std::size_t i = 0; i < subscripts.size(); ++i) {
    const char c = subscripts[i];
    if (c == ' ') continue;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      (arrow ? s.result : s.operands.back()).push_back(c);
    } else if (c == ',' && !arrow) {
      s.operands.emplace_back();
    } else if (subscripts.substr(i).starts_with("->") && !arrow) {
      arrow = true;
      ++i;
    } else if (c == '.') {
      throw ValueError(start + "\"...\" is not supported; give every axis a letter");
    } else {
      throw ValueError(text(start, "'", c, "' at position ", i,
                            " cannot be read; letters, commas and one -> are, as in ij,jk->ik"));
    }
  }
  if (s.operands.size() != operands)
    throw ValueError(text(start, "letters for ", s.operands.size(),
                          s.operands.size() == 1 ? " tensor" : " tensors", ", but ", operands,
                          " came"));
  std::map<char, int> times;
  for (const std::string& letters : s.operands)
    for (const char c : letters) ++times[c];
  if (!arrow)
    for (const auto& [c, n] : times)
      if (n == 1) s.result.push_back(c);
  for (const char c : s.result) {
    if (!times.contains(c))
      throw ValueError(text(start, "'", c, "' of the result is an axis of no operand"));
    if (std::count(s.result.begin(), s.result.end(), c) > 1)
      throw ValueError(text(start, "'", c, "' occurs twice in the result"));
  }
  return s;
}

/// A tensor whose axes have letters.
struct Lettered {
  Tensor tensor;
  std::string letters;

  bool has(char c) const { return letters.find(c) != std::string::npos; }
  std::int64_t extent(char c) const { return tensor.shape()[letters.find(c)]; }
  /// With its axes in the order of `order`, the same letters.
  Lettered in_order(const std::string& order) const {
    if (order == letters) return *this;
    Axes axes;
    for (const char c : order) axes.push_back(static_cast<std::int64_t>(letters.find(c)));
    return {permute(tensor, axes), order};
  }
};

/// Throws ShapeError unless every axis has a letter, and each letter one extent.
void check_extents(const std::string& start, const Subscripts& s,
                   const std::vector<const Tensor*>& x) {
  std::map<char, std::int64_t> extents;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Shape& shape = x[i]->shape();
    const std::string& letters = s.operands[i];
    if (letters.size() != shape.size())
      throw ShapeError(text(start, "\"", letters, "\" names ", letters.size(), " axes, but tensor ",
                            i, " has the shape ", shape));
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const auto [known, is_new] = extents.try_emplace(letters[axis], shape[axis]);
      if (!is_new && known->second != shape[axis])
        throw ShapeError(text(start, "'", letters[axis], "' is ", known->second, " and ",
                              shape[axis], ", in tensor ", i, " of shape ", shape));
    }
  }
}

/// A letter that occurs twice stands for the diagonal of its two axes.
Lettered without_repetition(Lettered x) {
  for (std::size_t i = 0; i < x.letters.size(); ++i) {
    const std::size_t again = x.letters.find(x.letters[i], i + 1);
    if (again == std::string::npos) continue;
    Axes order;
    Shape flat;
    std::string letters;
    for (std::size_t axis = 0; axis < x.letters.size(); ++axis) {
      if (axis == i || axis == again) continue;
      order.push_back(static_cast<std::int64_t>(axis));
      flat.push_back(x.tensor.shape()[axis]);
      letters.push_back(x.letters[axis]);
    }
    // The last two axes as one, where the diagonal's elements are n + 1 apart.
    order.push_back(static_cast<std::int64_t>(i));
    order.push_back(static_cast<std::int64_t>(again));
    const std::int64_t n = x.tensor.shape()[i];
    flat.push_back(n * n);
    letters.push_back(x.letters[i]);
    x = {slice(reshape(permute(x.tensor, order), flat), -1, 0, n * n, n + 1), letters};
    return without_repetition(std::move(x));
  }
  return x;
}

/// Summed over the letters that are in neither `a` nor `b`.
Lettered summed(Lettered x, const std::string& a, const std::string& b) {
  Axes gone;
  std::string left;
  for (std::size_t axis = 0; axis < x.letters.size(); ++axis) {
    const char c = x.letters[axis];
    if (a.find(c) == std::string::npos && b.find(c) == std::string::npos)
      gone.push_back(static_cast<std::int64_t>(axis));
    else
      left.push_back(c);
  }
  return gone.empty() ? x : Lettered{sum(x.tensor, gone), left};
}

Tensor shaped(const Tensor& x, const Shape& shape) {
  return x.shape() == shape ? x : reshape(x, shape);
}

/// The product of two whose letters are all in the other or in `result`, in any order of axes.
Lettered product(const Lettered& a, const Lettered& b, const std::string& result) {
  std::string both, rows, inner, columns;  // letters in both and in the result, in a alone, ...
  Shape shape, a_shape, b_shape;
  std::int64_t m = 1, k = 1, n = 1, batch = 1;
  for (const char c : a.letters) {
    const bool kept = result.find(c) != std::string::npos;
    if (!b.has(c)) {
      rows.push_back(c);
      m *= a.extent(c);
    } else if (kept) {
      both.push_back(c);
      batch *= a.extent(c);
    } else {
      inner.push_back(c);
      k *= a.extent(c);
    }
  }
  for (const char c : b.letters)
    if (!a.has(c)) {
      columns.push_back(c);
      n *= b.extent(c);
    }
  const std::string order = both + rows + columns;
  for (const char c : order) shape.push_back(a.has(c) ? a.extent(c) : b.extent(c));
  Tensor left = a.in_order(both + rows + inner).tensor;
  Tensor right = b.in_order(both + inner + columns).tensor;
  if (inner.empty()) {  // element by element; the other's own axes are 1
    a_shape = left.shape();
    for (std::size_t i = 0; i < columns.size(); ++i) a_shape.push_back(1);
    for (const char c : both) b_shape.push_back(b.extent(c));
    for (std::size_t i = 0; i < rows.size(); ++i) b_shape.push_back(1);
    for (const char c : columns) b_shape.push_back(b.extent(c));
    return {shaped(left, a_shape) * shaped(right, b_shape), order};
  }
  if (!both.empty()) {
    a_shape.push_back(batch);
    b_shape.push_back(batch);
  }
  a_shape.push_back(m), a_shape.push_back(k);
  b_shape.push_back(k), b_shape.push_back(n);
  return {shaped(matmul(shaped(left, a_shape), shaped(right, b_shape)), shape), order};
}

Tensor evaluate(std::string_view subscripts, const std::vector<const Tensor*>& x) {
  detail::check_defined("einsum", Inputs(x.data(), x.size()));
  require_floating("einsum", Inputs(x.data(), x.size()));
  const Subscripts s = parse(subscripts, x.size());
  check_extents(quoted(subscripts), s, x);
  std::vector<Lettered> terms;
  for (std::size_t i = 0; i < x.size(); ++i)
    terms.push_back(without_repetition({*x[i], s.operands[i]}));
  for (std::size_t i = 0; i < x.size(); ++i)
    terms[i] = summed(terms[i], s.result, x.size() == 2 ? terms[1 - i].letters : "");
  const Lettered value = x.size() == 2 ? product(terms[0], terms[1], s.result) : terms[0];
  return value.in_order(s.result).tensor;
}

}  // namespace

Tensor einsum(std::string_view subscripts, Operand a) {
  return detail::located(a.place(), [&] { return evaluate(subscripts, {&a.tensor()}); });
}
Tensor einsum(std::string_view subscripts, Operand a, Operand b) {
  return detail::located(a.place(), [&] {
    return evaluate(subscripts, {&a.tensor(), &b.tensor()});
  });
}

}  // namespace xg
