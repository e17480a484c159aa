// Reference-counted, 64-byte aligned buffers from a per-thread pool. Knows bytes, not tensors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace xg {

class BufferRef;

/// A block of memory: this header, then the bytes, and at least 64 bytes more, so that a vector may
/// be loaded or stored from any element on. A lazy buffer has no bytes of its own until
/// somebody asks for them; then `fill` makes them from `source`, or from `source` and `other`. (A
/// transposed operand of a matrix product is never asked for them, nor is a product that an update
/// adds to a parameter.)
struct alignas(64) Buffer {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t size_class = 0;
  std::uint64_t bytes = 0;
  std::atomic<std::byte*> data{nullptr};
  Buffer* source = nullptr;  // owned, when lazy
  Buffer* filled = nullptr;  // owned, once a lazy buffer was asked
  void (*fill)(const Buffer& self, std::byte* out) = nullptr;
  // What `fill` needs to know of the source; no columns if the products of its rows are not added.
  std::uint32_t rows = 0, columns = 0;
  Buffer* other = nullptr;  // owned, when a lazy product; the next one while it waits in the pool

  std::byte* bytes_begin() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

namespace detail {
/// Bytes of the buffers that this thread has asked for and not yet freed, and the most since
/// somebody last set it.
struct MemoryInUse {
  std::int64_t now = 0, peak = 0;
};
inline constinit thread_local MemoryInUse memory_in_use;

Buffer* allocate_buffer(std::uint64_t bytes);
void release_buffer(Buffer* buffer) noexcept;
std::byte* fill_lazy_buffer(Buffer& buffer);
}  // namespace detail

/// Shared ownership of a Buffer; the last owner gives it back to its thread's pool.
class BufferRef {
 public:
  BufferRef() noexcept {}
  explicit BufferRef(std::uint64_t bytes) : buffer_(detail::allocate_buffer(bytes)) {}
  BufferRef(const BufferRef& other) noexcept : buffer_(other.buffer_) {
    if (buffer_) buffer_->references.fetch_add(1, std::memory_order_relaxed);
  }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() {
    // A sole owner needs no atomic subtraction: nobody else can be copying its reference.
    if (buffer_ && (buffer_->references.load(std::memory_order_acquire) == 1 ||
                    buffer_->references.fetch_sub(1, std::memory_order_acq_rel) == 1))
      detail::release_buffer(buffer_);
  }

  /// A buffer of `bytes` whose content `fill` makes from `source` (and `other`) when it is first
  /// asked for.
  static BufferRef lazy(std::uint64_t bytes, BufferRef source, std::uint32_t rows,
                        std::uint32_t columns, void (*fill)(const Buffer&, std::byte*),
                        BufferRef other = {});

  explicit operator bool() const noexcept { return buffer_ != nullptr; }
  bool is_lazy() const noexcept { return buffer_->source != nullptr; }
  bool is_transpose() const noexcept { return is_lazy() && !buffer_->other; }
  /// Whether it is a lazy product, a sum of outer ones, that nobody has asked for yet.
  bool is_pending_product() const noexcept {
    return buffer_->other && buffer_->columns > 0 && !buffer_->data.load(std::memory_order_acquire);
  }
  const Buffer* operator->() const noexcept { return buffer_; }
  Buffer* get() const noexcept { return buffer_; }
  /// Another owner of the buffer that a lazy one is made from.
  BufferRef source() const noexcept;
  /// The buffer that holds the bytes: a lazy one is filled first.
  BufferRef resolved() const;
  /// Whether nobody else holds the buffer, so that writing into it can surprise nobody.
  bool unique() const noexcept {
    return buffer_->references.load(std::memory_order_acquire) == 1 && !is_lazy();
  }
  std::byte* data() const {
    std::byte* bytes = buffer_->data.load(std::memory_order_acquire);
    return bytes ? bytes : detail::fill_lazy_buffer(*buffer_);
  }
  friend bool operator==(const BufferRef&, const BufferRef&) = default;

 private:
  Buffer* buffer_ = nullptr;
};

/// What the buffers of all threads have cost so far.
struct MemoryStatistics {
  std::uint64_t heap_allocations;  ///< buffers that no pool could serve, since the program began
  std::uint64_t heap_bytes;        ///< bytes now held from the heap, in use or waiting in a pool
};
/// The counts now; costs nothing.
MemoryStatistics memory_statistics() noexcept;

/// Gives the memory that waits in this thread's pool and in the shared one back to the system.
void release_pooled_memory() noexcept;

}  // namespace xg
