// The tape: the list of applied operations, and the chain rule read off it backwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/live_tapes.hpp"
#include "autograd/operand.hpp"
#include "autograd/parameter.hpp"
#include "autograd/tensor.hpp"

namespace xg {

class DetectAnomalies;
class Record;
struct GradientOptions;

namespace detail {
class AnomalyCheck;
struct OpTable;
struct TapeMemory;
struct Leaf;
struct Node;
struct TapeReader;
class Trace;
struct Dual;
struct Backward;
struct Forward;
class Episode;

/// The tapes of a thread.
struct ThreadTapes {
  Tape* innermost = nullptr;  ///< the newest that is alive
  Tape* recorder = nullptr;   ///< the one that records, if any
  int silenced = 0;           ///< how many NoRecording are alive
};
inline constinit thread_local ThreadTapes on_this_thread;
}  // namespace detail

/// The tensors that an operation is applied to, by reference.
class Inputs {
 public:
  constexpr Inputs(const Tensor* const* tensors, std::size_t count) noexcept
      : tensors_(tensors), count_(count) {}
  const Tensor& operator[](std::size_t i) const noexcept { return *tensors_[i]; }
  std::size_t size() const noexcept { return count_; }

 private:
  const Tensor* const* tensors_;
  std::size_t count_;
};

/// Records every operation on this thread from its construction to the end of its scope.
///
///     Tape tape;
///     Tensor cost = sum(square(matmul(x, w) - y));
///     Tensor g = gradient(cost, w);
///
/// Nodes stand in one flat list in the order of their creation, which is a topological order; the
/// backward pass is one loop over it from the end. A tape belongs to the thread that made it, and
/// tapes end in the reverse of their order; the program is aborted if one does not. A tape made
/// while another is recording interrupts it until the inner one ends; a tensor of one cannot be
/// used under the other (TapeError) except as `detach(t)`.
class Tape {
 public:
  Tape();
  ~Tape();
  static void* operator new(std::size_t) = delete;  // tapes end in the reverse of their order
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Forgets all nodes. Tensors recorded so far keep their values but can no longer be used under
  /// a recording tape, nor differentiated (TapeError). Throws TapeError if called by a function
  /// that `checkpoint` or `custom_gradient` has called, or on another thread than the tape's.
  void clear();

  /// Number of nodes: operations, and the tensors from outside that they used.
  std::size_t size() const noexcept;
  /// Bytes of the buffers that the tape keeps alive for the backward pass.
  std::uint64_t bytes_kept() const;
  /// What the nodes of one operation keep alive.
  struct Holding {
    std::string_view operation;  ///< "input" for the tensors from outside
    std::size_t nodes = 0;
    std::uint64_t bytes = 0;
    /// "matmul: 3 nodes, 9216 bytes"
    friend std::ostream& operator<<(std::ostream& stream, const Holding& holding);
  };
  /// `size` and `bytes_kept` by operation, the largest first. A buffer that several nodes share
  /// counts for the one that made it, or the first that was given it.
  std::vector<Holding> holdings() const;
  /// The most bytes of tensors alive at one time since the tape began, beyond those alive then. Of
  /// tensors made and freed on this thread.
  std::uint64_t peak_bytes() const noexcept;
  /// Floating-point operations of everything recorded so far, counted from shapes: 2 m n k for a
  /// product of matrices, one for each element of an elementwise function or reduction, none for
  /// what only moves elements. A backward pass counts if this tape was recording it.
  double flops() const { return flops(0); }

  /// Whether the tensor or parameter, at its present value, was used under this tape.
  bool has_met(const Tensor& tensor) const { return find(tensor, "Tape") != absent; }

  /// The shape of a parameter that was first met at node `since` or later and is not one of
  /// `known`; nothing if there is none.
  std::optional<Shape> unknown_parameter(std::size_t since,
                                         std::span<const ParameterRef> known) const;

  /// The tape that records on this thread now, or null.
  static Tape* recording() noexcept { return detail::on_this_thread.recorder; }

  /// Appends an application; `output` becomes the new node. `apply` calls this, nobody else.
  void record(const detail::OpTable& table, const void* op, Inputs inputs, Tensor& output,
              SourceLocation place = SourceLocation());

  friend std::ostream& operator<<(std::ostream& stream, const Tape& tape);

 private:
  friend class Record;
  friend class NoRecording;
  friend class DetectAnomalies;
  friend struct detail::TapeReader;
  friend class detail::Trace;
  friend struct detail::Dual;
  friend struct detail::Backward;
  friend struct detail::Forward;
  friend class detail::Episode;
  friend void pull_back(const Tensor& output, Tensor adjoint, Inputs wrt, std::span<Tensor> result,
                        std::string_view caller);
  friend void gradient(Operand loss, Inputs xs, std::span<Tensor> result, GradientOptions options);
  friend void push_forward(Inputs outputs, Inputs wrt, Inputs tangents, std::span<Tensor> result);

  /// This thread's tape on which `tensor` was recorded. Throws TapeError if there is none.
  static Tape& of(const Tensor& tensor, std::string_view caller);
  /// Whether `serial` is this tape's, or was when the episode began that it is in.
  bool is_mine(std::uint64_t serial) const noexcept;
  /// Makes `tape` the one that records on this thread; gives the one before.
  static Tape* exchange_recording(Tape* tape) noexcept {
    return std::exchange(detail::on_this_thread.recorder, tape);
  }
  static constexpr std::uint32_t absent = 0xffffffffu;
  /// Of the nodes from `since` on.
  double flops(std::size_t since) const;
  /// The place of a tensor from outside, which is free if this tape has never met it.
  detail::Leaf& leaf(const Tensor& tensor, std::string_view caller) const;
  /// The node of a tensor, or `absent` if this tape has never met it.
  std::uint32_t find(const Tensor& tensor, std::string_view caller) const;
  std::uint32_t node_of_input(const Tensor& tensor, std::string_view operation);
  /// Writes the nodes of `wrt`, and for every node up to `last` how it stands to them.
  void mark(Inputs wrt, std::size_t last, std::string_view caller,
            std::vector<std::uint32_t>& sources, std::vector<char>& marks) const;
  /// The same for the nodes from `first` up to marks.size().
  void mark(std::size_t first, std::vector<char>& marks) const;

  /// Warns, once in a program, if each of many calls of `gradient` has found the tape larger, in
  /// the manner of a forgotten reset (holdings.cpp).
  void watch_growth(Inputs xs);

  // Forward mode (forward.cpp): the tangent of every output is computed as it is recorded.
  /// Gives a tensor a tangent, and the tape this mode.
  void set_tangent(const Tensor& tensor, const Tensor& tangent);
  /// Undefined if the tensor has none.
  Tensor tangent(const Tensor& tensor) const;
  /// The tangent of the node just recorded.
  void carry(Inputs inputs, const Tensor& output);
  /// From `hold_values` to the `drop_values` of its own, values are kept for passes of transforms
  /// inside.
  void hold_values();
  void drop_values();

  std::unique_ptr<detail::TapeMemory> memory_;
  detail::LiveSerial live_;
  std::uint64_t serial_;                             // that of `live_`, or of the episode
  Tape* outer_;                                      // the tape below this one on the thread
  Tape* suspended_;                                  // what was recording when this tape began
  detail::Episode* episode_ = nullptr;               // that this tape is in
  std::int64_t bytes_before_, peak_before_;          // when this tape began
  std::unique_ptr<detail::AnomalyCheck> anomalies_;  // if they are to be detected
  std::uint32_t keeps_ = ~0u;    // of what operations list in `keeps`, what is kept
  std::size_t passes_from_ = 0;  // the first node that a pass may go through
  bool forward_ = false;
  bool keeps_leaves_ = false;  // the elements of every tensor from outside
  struct Growth {
    std::uint32_t steps = 0;  // one after the other, that have made the tape larger
    std::uint32_t nodes = 0, inputs = 0, source = 0;  // at the end of the last
  } growth_;
};

/// Nothing is recorded on this thread while one of these lives; what is computed is a constant to
/// any tape.
class NoRecording {
 public:
  NoRecording() noexcept : suspended_(Tape::exchange_recording(nullptr)) {
    ++detail::on_this_thread.silenced;
  }
  ~NoRecording() {
    --detail::on_this_thread.silenced;
    Tape::exchange_recording(suspended_);
  }
  NoRecording(const NoRecording&) = delete;
  NoRecording& operator=(const NoRecording&) = delete;

 private:
  Tape* suspended_;
};

/// The same value as a new, unrecorded tensor: a constant to every tape, through which no gradient
/// flows (`stop_gradient` in other libraries). Shares the buffer.
Tensor detach(const Tensor& tensor);

/// What to give for a tensor that the loss does not depend on.
enum class Unused { zeros, error };

/// Options of `gradient`.
struct GradientOptions {
  Unused unused = Unused::zeros;
};

/// The derivatives of the scalar `loss` with respect to tensors or parameters, in their order and
/// of their shapes. `loss` must have been recorded on a tape of this thread that is still alive.
///
/// If the tape is recording, the backward pass is recorded as well, so that results can be
/// differentiated again; under NoRecording it is not, and memory is freed as the pass goes.
///
/// Throws ShapeError if `loss` has more than one element; TapeError if it was not recorded, if its
/// tape was cleared or is another thread's, if a parameter was changed after it was recorded, or,
/// with Unused::error, for a tensor that the loss does not depend on; DTypeError for one that is
/// not floating.
///
/// A tape that grows with every call, because a loop has no new Tape for every step, is warned of
/// once (warning.hpp).
Tensor gradient(Operand loss, const Tensor& x, GradientOptions options = {});
std::vector<Tensor> gradient(Operand loss, std::span<const Tensor> xs,
                             GradientOptions options = {});
std::vector<Tensor> gradient(Operand loss, std::initializer_list<Tensor> xs,
                             GradientOptions options = {});
std::vector<Tensor> gradient(Operand loss, std::span<const ParameterRef> parameters,
                             GradientOptions options = {});
/// The same into arrays of the caller's, for loops that must not allocate. Throws ValueError unless
/// there are as many results as tensors.
void gradient(Operand loss, Inputs xs, std::span<Tensor> result, GradientOptions options = {});

/// The vector-Jacobian product: `adjoint` (of the shape of `output`) times the Jacobian of
/// `output` with respect to each of `wrt`. Writes to `result`; undefined where `output` does not
/// depend on it. `caller` stands in messages. Throws ValueError unless there are as many results as
/// tensors.
void pull_back(const Tensor& output, Tensor adjoint, Inputs wrt, std::span<Tensor> result,
               std::string_view caller = "vjp");

/// The Jacobian-vector product along the tape: the change of `output` when each of `wrt` changes
/// by its tangent. Undefined if it does not depend on them.
Tensor push_forward(const Tensor& output, Inputs wrt, Inputs tangents);
/// The same for several outputs in one pass, which must be on one tape. Writes to `result`.
void push_forward(Inputs outputs, Inputs wrt, Inputs tangents, std::span<Tensor> result);

}  // namespace xg
