// einsum against plain loops over all letters, its gradients against differences, what it refuses,
// and that it puts no more on the tape than the product that it is.
#include <map>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

struct Case {
  std::string subscripts, explicit_form;  // the second with every letter and an arrow
  std::vector<Shape> shapes;
};

/// By the definition: all letters run over their extents.
Tensor by_loops(const std::string& subscripts, const std::vector<Tensor>& x) {
  const std::size_t arrow = subscripts.find("->");
  const std::string result = subscripts.substr(arrow + 2);
  std::vector<std::string> operands{""};
  for (const char c : subscripts.substr(0, arrow))
    if (c == ',')
      operands.emplace_back();
    else
      operands.back().push_back(c);
  std::string letters = result;
  std::map<char, std::int64_t> extents;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t axis = 0; axis < operands[i].size(); ++axis) {
      const char c = operands[i][axis];
      if (letters.find(c) == std::string::npos) letters.push_back(c);
      extents[c] = x[i].shape()[axis];
    }
  Shape all, shape;
  for (const char c : letters) all.push_back(extents[c]);
  for (const char c : result) shape.push_back(extents[c]);
  std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
  for_each_index(all, [&](const Extents& index) {
    const auto at = [&](const std::string& of) {
      Extents place;
      for (const char c : of) place.push_back(index[letters.find(c)]);
      return place;
    };
    double term = 1;
    for (std::size_t i = 0; i < x.size(); ++i) term *= x[i].at(at(operands[i]));
    std::size_t to = 0;
    for (std::size_t i = 0; i < result.size(); ++i)
      to = to * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(index[i]);
    values[to] += term;
  });
  return tensor(values, shape);
}

const std::vector<Case> cases{
    // one operand
    {"ij->ij", "", {{2, 3}}},
    {"ij->ji", "", {{2, 3}}},
    {"ba", "ba->ab", {{2, 3}}},
    {"ij->", "", {{2, 3}}},
    {"ij->j", "", {{2, 3}}},
    {"ijk->ki", "", {{2, 3, 4}}},
    {"->", "", {{}}},
    {"i", "i->i", {{5}}},
    {"ii->i", "", {{3, 3}}},
    {"ii", "ii->", {{3, 3}}},
    {"iji->ji", "", {{3, 2, 3}}},
    {"iii->i", "", {{3, 3, 3}}},
    {"ijij->ij", "", {{2, 3, 2, 3}}},
    {"ijij", "ijij->", {{2, 3, 2, 3}}},
    {"ii->i", "", {{0, 0}}},
    {"bAa", "bAa->Aab", {{2, 3, 4}}},
    // two
    {"ij,jk->ik", "", {{2, 3}, {3, 4}}},
    {"ij,jk", "ij,jk->ik", {{2, 3}, {3, 4}}},
    {" i j , j k -> i k ", "ij,jk->ik", {{2, 3}, {3, 4}}},
    {"ij,kj->ik", "", {{2, 3}, {4, 3}}},
    {"ji,jk->ki", "", {{3, 2}, {3, 4}}},
    {"ij,j->i", "", {{2, 3}, {3}}},
    {"i,ij->j", "", {{2}, {2, 3}}},
    {"i,i->", "", {{4}, {4}}},
    {"i,i", "i,i->", {{4}, {4}}},
    {"i,j->ij", "", {{2}, {3}}},
    {"i,j->ji", "", {{2}, {3}}},
    {"ij,ij->ij", "", {{2, 3}, {2, 3}}},
    {"ij,ji->ij", "", {{2, 3}, {3, 2}}},
    {"ij,ij->i", "", {{2, 3}, {2, 3}}},
    {"ij,ij->", "", {{2, 3}, {2, 3}}},
    {"bij,bjk->bik", "", {{2, 3, 4}, {2, 4, 5}}},
    {"bij,jk->bik", "", {{2, 3, 4}, {4, 5}}},
    {"ibj,jkb->kbi", "", {{3, 2, 4}, {4, 5, 2}}},
    {"abij,bajk->abik", "", {{2, 3, 2, 2}, {3, 2, 2, 4}}},
    {"bi,bj->bij", "", {{2, 3}, {2, 4}}},
    {"bi,b->bi", "", {{2, 3}, {2}}},
    {"ijk,kjl->il", "", {{2, 3, 4}, {4, 3, 5}}},
    {"ij,kl->", "", {{2, 3}, {4, 2}}},
    {"ij,kl->jk", "", {{2, 3}, {4, 2}}},
    {"ij,jk->", "", {{2, 3}, {3, 4}}},
    {"ii,ij->j", "", {{3, 3}, {3, 2}}},
    {"ij,jj->ij", "", {{2, 3}, {3, 3}}},
    {"ii,jj", "ii,jj->", {{3, 3}, {2, 2}}},
    {",i->i", "", {{}, {3}}},
    {"i,->i", "", {{3}, {}}},
    {",", ",->", {{}, {}}},
    {"ij,jk->ik", "", {{2, 0}, {0, 4}}},
    {"ij,jk->ik", "", {{0, 3}, {3, 4}}},
    {"bij,bj->bi", "", {{1, 1, 1}, {1, 1}}},
};

std::vector<Tensor> inputs_of(const Case& c) {
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < c.shapes.size(); ++i)
    result.push_back(numbers(c.shapes[i], -1, 1, i + 1));
  return result;
}

Tensor einsum_of(const std::string& subscripts, const std::vector<Tensor>& x) {
  return x.size() == 1 ? einsum(subscripts, x[0]) : einsum(subscripts, x[0], x[1]);
}

}  // namespace

TEST_CASE("einsum is what loops over all letters give", "[einsum]") {
  for (const Case& c : cases) {
    INFO('"' << c.subscripts << '"');
    const std::vector<Tensor> x = inputs_of(c);
    const Tensor want = by_loops(c.explicit_form.empty() ? c.subscripts : c.explicit_form, x);
    CHECK(difference(einsum_of(c.subscripts, x), want, 1e-13, 1e-14) == "");
    std::vector<Tensor> single;
    for (const Tensor& t : x) single.push_back(cast(t, DType::float32));
    CHECK(difference(cast(einsum_of(c.subscripts, single), DType::float64), want, 1e-5, 1e-5) ==
          "");
  }
}

TEST_CASE("einsum of transposed operands", "[einsum]") {
  const Tensor a = numbers({3, 2}), b = numbers({4, 3}, -1, 1, 2);
  const Tensor want = by_loops("ij,jk->ik", {transpose(a), transpose(b)});
  REQUIRE_CLOSE(einsum("ij,jk->ik", transpose(a), transpose(b)), want, 1e-13, 1e-14);
}

TEST_CASE("einsum's first and second derivatives", "[einsum]") {
  for (const Case& c : cases) {
    INFO('"' << c.subscripts << '"');
    const std::vector<Tensor> x = inputs_of(c);
    const auto loss = [&](const std::vector<Tensor>& v) {
      const Tensor y = einsum_of(c.subscripts, v);
      return sum(numbers(y.shape(), 0.5, 2, 9) * square(y));
    };
    const GradCheck first = gradcheck(loss, x), second = gradgradcheck(loss, x);
    INFO(first << '\n' << second);
    CHECK(first.passed);
    CHECK(second.passed);
  }
}

TEST_CASE("einsum records the product alone where nothing has to be moved", "[einsum]") {
  const Tensor a = numbers({2, 3}), b = numbers({3, 4});
  const auto recorded = [&](const auto& f) {
    const Tape tape;
    f();
    return tape.size();
  };
  CHECK(recorded([&] { einsum("ij,jk->ik", a, b); }) == recorded([&] { matmul(a, b); }));
  CHECK(recorded([&] {
          einsum("ij,kj->ik", a, numbers({4, 3}));
        }) == recorded([&] {
          matmul(a, transpose(numbers({4, 3})));
        }));
}

TEST_CASE("einsum says what it cannot read", "[einsum]") {
  const Tensor a = numbers({2, 3}), b = numbers({3, 4});
  REQUIRE_ERROR(einsum("...j,jk->...k", a, b), ValueError,
                "[einsum] \"...j,jk->...k\": \"...\" is not supported; give every axis a letter");
  REQUIRE_ERROR(einsum("i1,jk->ik", a, b), ValueError,
                "[einsum] \"i1,jk->ik\": '1' at position 1 cannot be read; letters, commas and one "
                "-> are, as in ij,jk->ik");
  REQUIRE_ERROR(einsum("ij,jk-ik", a, b), ValueError, "'-' at position 5 cannot be read");
  REQUIRE_ERROR(einsum("ij,jk>ik", a, b), ValueError, "'>' at position 5 cannot be read");
  REQUIRE_ERROR(einsum("ij,jk->ik->", a, b), ValueError, "'-' at position 9 cannot be read");
  REQUIRE_ERROR(einsum("ij->i,j", a), ValueError, "',' at position 5 cannot be read");
  REQUIRE_ERROR(einsum("ij->ij", a, b), ValueError,
                "[einsum] \"ij->ij\": letters for 1 tensor, but 2 came");
  REQUIRE_ERROR(einsum("ij,jk->ik", a), ValueError, "letters for 2 tensors, but 1 came");
  REQUIRE_ERROR(einsum("i,j,k->ijk", a, b), ValueError, "letters for 3 tensors, but 2 came");
  REQUIRE_ERROR(einsum("ij,jk->iz", a, b), ValueError,
                "'z' of the result is an axis of no operand");
  REQUIRE_ERROR(einsum("ij,jk->ii", a, b), ValueError, "'i' occurs twice in the result");
}

TEST_CASE("einsum says what does not fit", "[einsum]") {
  const Tensor a = numbers({2, 3}), b = numbers({3, 4});
  REQUIRE_ERROR(einsum("ij,jkl->il", a, b), ShapeError,
                "[einsum] \"ij,jkl->il\": \"jkl\" names 3 axes, but tensor 1 has the shape (3, 4)");
  REQUIRE_ERROR(einsum("ij,kj->ik", a, b), ShapeError,
                "[einsum] \"ij,kj->ik\": 'j' is 3 and 4, in tensor 1 of shape (3, 4)");
  REQUIRE_ERROR(einsum("ii->i", a), ShapeError, "'i' is 2 and 3, in tensor 0 of shape (2, 3)");
  REQUIRE_ERROR(einsum("ij->ji", Tensor{{1, 2}}), DTypeError, "[einsum] input 0 is int64");
  REQUIRE_ERROR(einsum("ij,jk", a, cast(b, DType::float32)), DTypeError, "[einsum] ");
  REQUIRE_ERROR(einsum("ij,jk", a, Tensor()), DTypeError, "[einsum] input 1 is undefined");
  REQUIRE_ERROR(einsum("i", a), ShapeError, "einsum_test.cpp:");
}
