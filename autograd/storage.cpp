// The buffer pool: free lists by size class for each thread, and shared ones behind a mutex into
// which a thread's surplus flows (a buffer is often freed by another thread than asked for it).
#include "autograd/storage.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>

#include "autograd/error.hpp"

namespace xg {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool pooling = false;  // so that the sanitizer sees every use after free
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool pooling = false;
#else
constexpr bool pooling = true;
#endif
#else
constexpr bool pooling = true;
#endif

// Four classes to each power of two, from 128 bytes (header included) up.
constexpr std::uint64_t smallest_bits = 7;
constexpr std::size_t class_count = 4 * (48 - smallest_bits);

std::size_t class_of(std::uint64_t total) {
  if (total <= (1u << smallest_bits)) return 0;
  const auto bits = static_cast<std::uint64_t>(std::bit_width(total - 1)) - 1;
  const std::uint64_t quarter = ((total - 1) >> (bits - 2)) & 3;
  return static_cast<std::size_t>(4 * (bits - smallest_bits) + quarter + 1);
}

constexpr std::uint64_t class_bytes(std::size_t size_class) {
  if (size_class == 0) return 1u << smallest_bits;
  const std::uint64_t bits = smallest_bits + (size_class - 1) / 4;
  return (std::uint64_t{1} << (bits - 2)) * (5 + (size_class - 1) % 4);
}

struct FreeList {
  Buffer* head = nullptr;
  std::size_t count = 0;

  void push(Buffer* buffer) noexcept {
    buffer->other = head;
    head = buffer;
    ++count;
  }
  Buffer* pop() noexcept {
    Buffer* const buffer = head;
    if (buffer) {
      head = buffer->other;
      --count;
    }
    return buffer;
  }
};

using FreeLists = std::array<FreeList, class_count>;

std::atomic<std::uint64_t> heap_allocations{0}, heap_bytes{0};

void free_to_heap(Buffer* buffer) noexcept {
  const std::uint64_t total = class_bytes(buffer->size_class);
  heap_bytes.fetch_sub(total, std::memory_order_relaxed);
  ::operator delete (buffer, std::align_val_t{alignof(Buffer)});
}

void free_to_heap(FreeList& list) noexcept {
  while (Buffer* buffer = list.pop()) free_to_heap(buffer);
}

struct SharedPool {
  std::mutex mutex;
  FreeLists lists;
};

// Never destroyed: threads that end after main() still give their buffers back.
SharedPool& shared_pool() {
  static SharedPool* const pool = new SharedPool;
  return *pool;
}

// How many buffers of a class a thread keeps for itself: about 8 MiB of them.
constexpr std::array<std::size_t, class_count> limits = [] {
  std::array<std::size_t, class_count> result{};
  for (std::size_t c = 0; c < class_count; ++c)
    result[c] = std::clamp<std::size_t>((std::size_t{8} << 20) / class_bytes(c), 4, 256);
  return result;
}();

struct ThreadPool {
  FreeLists lists;

  Buffer* take(std::size_t size_class) noexcept {
    FreeList& mine = lists[size_class];
    if (!mine.head) refill(size_class);
    return mine.pop();
  }
  void give(Buffer* buffer) noexcept {
    FreeList& mine = lists[buffer->size_class];
    mine.push(buffer);
    if (mine.count > limits[buffer->size_class]) spill(buffer->size_class, mine.count / 2);
  }
  void refill(std::size_t size_class) noexcept {
    SharedPool& shared = shared_pool();
    const std::lock_guard lock(shared.mutex);
    FreeList& theirs = shared.lists[size_class];
    for (std::size_t n = limits[size_class] / 2; n > 0 && theirs.head; --n)
      lists[size_class].push(theirs.pop());
  }
  void spill(std::size_t size_class, std::size_t count) noexcept {
    SharedPool& shared = shared_pool();
    const std::lock_guard lock(shared.mutex);
    for (; count > 0; --count) shared.lists[size_class].push(lists[size_class].pop());
  }
  ~ThreadPool();
};

// The thread's pool, once it has one and until that is gone. Trivial, so that asking costs nothing
// and is allowed at any time.
constinit thread_local ThreadPool* thread_pool = nullptr;
constinit thread_local bool thread_pool_ended = false;

ThreadPool::~ThreadPool() {
  thread_pool = nullptr;
  thread_pool_ended = true;
  for (std::size_t c = 0; c < class_count; ++c)
    if (lists[c].count > 0) spill(c, lists[c].count);
}

ThreadPool* start_thread_pool() {
  if (!pooling || thread_pool_ended) return nullptr;
  thread_local ThreadPool pool;
  return thread_pool = &pool;
}

}  // namespace

namespace detail {

namespace {

void* heap_block(std::uint64_t total) {
  constexpr std::align_val_t alignment{alignof(Buffer)};
  void* memory = ::operator new(total, alignment, std::nothrow);
  if (!memory) {
    release_pooled_memory();
    memory = ::operator new(total, alignment, std::nothrow);
  }
  if (!memory) throw Error(text("[memory] there is no room for a tensor of ", total, " bytes"));
  return memory;
}

}  // namespace

Buffer* allocate_buffer(std::uint64_t bytes) {
  if (bytes > (std::uint64_t{1} << 46))
    throw ShapeError("[memory] over 64 TiB were asked for one tensor");
  // A line of 64 bytes beyond the last, so that a vector may be loaded or stored from any element.
  const std::uint64_t lines = bytes / 64 + 2;
  const std::size_t size_class = class_of(sizeof(Buffer) + 64 * lines);
  ThreadPool* const pool = thread_pool ? thread_pool : start_thread_pool();
  void* memory = pool ? pool->take(size_class) : nullptr;
  if (!memory) {
    const std::uint64_t total = class_bytes(size_class);
    memory = heap_block(total);
    heap_allocations.fetch_add(1, std::memory_order_relaxed);
    heap_bytes.fetch_add(total, std::memory_order_relaxed);
  }
  memory_in_use.now += static_cast<std::int64_t>(bytes);
  memory_in_use.peak = std::max(memory_in_use.peak, memory_in_use.now);
  auto* const buffer = new (memory) Buffer;
  buffer->size_class = static_cast<std::uint32_t>(size_class);
  buffer->bytes = bytes;
  buffer->data.store(buffer->bytes_begin(), std::memory_order_relaxed);
  std::memset(buffer->bytes_begin() + bytes / 64 * 64, 0, 128);
  return buffer;
}

void release_buffer(Buffer* buffer) noexcept {
  if (!buffer->source)
    memory_in_use.now -= static_cast<std::int64_t>(buffer->bytes);
  else  // it is lazy, and its bytes are those of `filled`
    for (Buffer* owned : {buffer->source, buffer->filled, buffer->other})
      if (owned && owned->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
        release_buffer(owned);
  if (ThreadPool* const pool = thread_pool ? thread_pool : start_thread_pool())
    pool->give(buffer);
  else
    free_to_heap(buffer);
}

std::byte* fill_lazy_buffer(Buffer& buffer) {
  // Filled without a lock: it runs parallel loops, in which this thread may be given a task that
  // asks for a lazy buffer itself. Of two threads that fill at once, the first to finish is heard.
  Buffer* const mine = allocate_buffer(buffer.bytes);
  buffer.fill(buffer, mine->bytes_begin());
  static std::mutex publishing;
  const std::lock_guard lock(publishing);
  if (std::byte* done = buffer.data.load(std::memory_order_acquire)) {
    release_buffer(mine);
    return done;
  }
  buffer.filled = mine;
  buffer.data.store(mine->bytes_begin(), std::memory_order_release);
  return mine->bytes_begin();
}

}  // namespace detail

BufferRef BufferRef::lazy(std::uint64_t bytes, BufferRef source, std::uint32_t rows,
                          std::uint32_t columns, void (*fill)(const Buffer&, std::byte*),
                          BufferRef other) {
  BufferRef result(0);
  Buffer& buffer = *result.buffer_;
  buffer.bytes = bytes;
  buffer.data.store(nullptr, std::memory_order_relaxed);
  buffer.source = std::exchange(source.buffer_, nullptr);
  buffer.other = std::exchange(other.buffer_, nullptr);
  buffer.rows = rows;
  buffer.columns = columns;
  buffer.fill = fill;
  return result;
}

BufferRef BufferRef::source() const noexcept {
  BufferRef result;
  result.buffer_ = buffer_->source;
  if (result.buffer_) result.buffer_->references.fetch_add(1, std::memory_order_relaxed);
  return result;
}

BufferRef BufferRef::resolved() const {
  if (!is_lazy()) return *this;
  data();
  BufferRef result;
  result.buffer_ = buffer_->filled;
  result.buffer_->references.fetch_add(1, std::memory_order_relaxed);
  return result;
}

MemoryStatistics memory_statistics() noexcept {
  return {heap_allocations.load(std::memory_order_relaxed),
          heap_bytes.load(std::memory_order_relaxed)};
}

void release_pooled_memory() noexcept {
  if (thread_pool)
    for (FreeList& list : thread_pool->lists) free_to_heap(list);
  SharedPool& shared = shared_pool();
  const std::lock_guard lock(shared.mutex);
  for (FreeList& list : shared.lists) free_to_heap(list);
}

}  // namespace xg
