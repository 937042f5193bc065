// CPU time of the operations of a prefix cache that holds thousands of contexts, against their length: find,
// lock, insert and unlock of a prompt, and the evictions that make room for what it adds.
//
// Contexts are those of sessions, which begin with one of 8 system prompts and grow in 16 turns to their full
// length; each turn's hash ids follow each other, as in Mooncake's traces. A session that has its full length
// makes way for a new one.
#include <array>
#include <cstdio>
#include <ctime>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/memory/prefix_tree.hpp"

using namespace disagg;

namespace {

constexpr TokenCount kHashTokens = 64;
constexpr TokenCount kBlockTokens = 16;
constexpr std::size_t kSessions = 4000;
constexpr std::int64_t kTurns = 16;
constexpr std::uint64_t kSystemPrompts = 8;
// Operations of one kind are timed together, of so many requests in flight.
constexpr std::size_t kInFlight = 250;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

class Sessions {
 public:
  explicit Sessions(TokenCount tokens)
      : ids_per_turn_(tokens / kHashTokens / (kTurns + 1)), sessions_(kSessions) {}

  // The prompt of a session's next turn.
  PromptContent next(std::size_t session) {
    PromptContent& content = sessions_[session];
    if (content.tokens == 0 || turns(content) == kTurns) {
      const std::uint64_t first = random_() % kSystemPrompts << 40U;
      content = {.block_tokens = kHashTokens, .tokens = 0, .ranges = {{first, ids_per_turn_}}};
    }
    // Ids of a turn do not go on from those of the turn before: other sessions came between.
    content.ranges.push_back({next_id_, ids_per_turn_});
    next_id_ += static_cast<std::uint64_t>(ids_per_turn_) + 1;
    content.tokens = static_cast<TokenCount>(content.ranges.size()) * ids_per_turn_ * kHashTokens;
    return content;
  }
  std::size_t any() { return random_() % kSessions; }

 private:
  static std::int64_t turns(const PromptContent& content) {
    return static_cast<std::int64_t>(content.ranges.size()) - 1;
  }

  std::int64_t ids_per_turn_;
  std::vector<PromptContent> sessions_;
  RandomEngine random_ = random_stream(1, "sessions");
  std::uint64_t next_id_ = std::uint64_t{1} << 50U;
};

constexpr std::array<const char*, 5> kOperations{"find", "lock", "insert", "unlock", "evict"};

void measure(TokenCount tokens) {
  PrefixTree tree(kBlockTokens, LeastRecentlyUsed{}, {});
  Sessions sessions(tokens);
  std::array<double, kOperations.size()> seconds{};
  std::int64_t requests = 0;
  TokenCount found = 0;
  TokenCount asked = 0;
  struct InFlight {
    PromptContent content;
    PrefixHit hit;
    PrefixTree::NodeIndex node = PrefixTree::kRoot;
    BlockCount added = 0;
  };
  std::vector<InFlight> flying(kInFlight);
  const auto round = [&](bool full) {
    for (InFlight& f : flying) f.content = sessions.next(sessions.any());
    std::size_t operation = 0;
    const auto time = [&](auto&& act) {
      const double from = cpu_seconds();
      for (InFlight& f : flying) act(f);
      seconds[operation++] += cpu_seconds() - from;
    };
    const Seconds now{static_cast<double>(requests)};
    time([&](InFlight& f) { f.hit = tree.find(f.content, f.content.tokens - 1, now); });
    time([&](InFlight& f) { f.node = tree.lock(f.content, f.hit.tokens, now); });
    time([&](InFlight& f) {
      const auto insertion = tree.insert(f.node, f.content, f.content.tokens, now);
      f.node = insertion.node;
      f.added = f.content.tokens / kBlockTokens - f.hit.blocks - insertion.duplicates;
    });
    time([&](InFlight& f) { tree.unlock(f.node, now); });
    if (full) time([&](InFlight& f) { tree.evict(f.added); });
    for (const InFlight& f : flying) {
      found += f.hit.tokens;
      asked += f.content.tokens;
    }
    requests += kInFlight;
  };
  // Filled with all sessions, half grown on average; from then on what comes makes something else go.
  for (std::size_t i = 0; i < kSessions / kInFlight * static_cast<std::size_t>(kTurns) / 2; ++i) round(false);
  for (int i = 0; i < 200; ++i) round(true);
  seconds = {};
  requests = found = asked = 0;
  while (seconds[0] + seconds[1] + seconds[2] + seconds[3] + seconds[4] < 1) round(true);
  std::printf("%10lld %10zu %8.1f", static_cast<long long>(tokens), tree.nodes(),
              100 * static_cast<double>(found) / static_cast<double>(asked));
  for (const double s : seconds) std::printf(" %10.3f", s / static_cast<double>(requests) * 1e6);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main() {
  std::printf("%10s %10s %8s", "tokens", "nodes", "hit %");
  for (const char* operation : kOperations) std::printf(" %7s us", operation);
  std::printf("\n");
  for (const TokenCount tokens : {1'088, 32'768, 1'048'576}) measure(tokens);
  return 0;
}
