#include "workloads/agents.hpp"

#include <algorithm>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <deque>
#include <utility>

#include "sim/base/text.hpp"
#include "workloads/weighted.hpp"

namespace disagg {
namespace {

// Ids below this are of shared prefixes: 2^32 each for the agents of a profile and for its sub-agents.
constexpr std::uint64_t kFirstSession = 4096;
constexpr std::uint64_t kIdsEach = std::uint64_t{1} << 32U;
constexpr std::size_t kMostTurns = 100'000;

// One stream for each thing that is drawn, so that changing one does not shift the others.
struct Streams {
  Streams(std::uint64_t seed, const std::string& name)
      : structure(random_stream(seed, "agents/" + name + "/structure")),
        prompts(random_stream(seed, "agents/" + name + "/prompts")),
        outputs(random_stream(seed, "agents/" + name + "/outputs")),
        tools(random_stream(seed, "agents/" + name + "/tools")),
        users(random_stream(seed, "agents/" + name + "/users")) {}
  RandomEngine structure, prompts, outputs, tools, users;
};

bool chance(double share, RandomEngine& engine) {
  return share > 0 && boost::random::uniform_01<double>()(engine) < share;
}

// A prompt in the making.
class Context {
 public:
  explicit Context(std::uint64_t& next_id) : next_id_(&next_id) { content_.block_tokens = 1; }
  TokenCount tokens() const { return content_.tokens; }
  const PromptContent& content() const { return content_; }
  // Tokens that nobody has said before.
  void say(TokenCount tokens) {
    repeat({*next_id_, tokens});
    *next_id_ += static_cast<std::uint64_t>(tokens);
  }
  void repeat(HashRange said) {
    if (said.count <= 0) return;
    content_.append(said);
    content_.tokens += said.count;
  }

 private:
  std::uint64_t* next_id_;
  PromptContent content_;
};

// Writes one session of a profile, call by call.
class SessionWriter {
 public:
  SessionWriter(const AgentProfile& profile, std::uint64_t index, std::uint64_t first_id, Streams& streams)
      : profile_(profile), index_(index), first_id_(first_id), next_id_(first_id), streams_(streams) {}

  std::shared_ptr<const Session> write() {
    const std::int64_t calls = draw(profile_.calls, streams_.structure);
    std::int64_t fork = -1;
    if (profile_.sub_agents && chance(profile_.sub_agents->share, streams_.structure) && calls > 1)
      fork = static_cast<std::int64_t>(boost::random::uniform_01<double>()(streams_.structure) *
                                       static_cast<double>(calls - 1));
    session_->turns.reserve(static_cast<std::size_t>(calls));
    Context context = prefix(2 * index_, profile_.shared_prefix);
    std::vector<std::uint32_t> parents;
    std::visit([&](const auto& policy) { run(policy, context, calls, fork, parents, 0); }, profile_.context);
    return std::move(session_);
  }

 private:
  Context prefix(std::uint64_t space, TokenCount tokens) {
    Context context(next_id_);
    context.repeat({space * kIdsEach, tokens});
    return context;
  }

  // What joins the prompt of the next call: a user's text, or the results of tools.
  struct Cause {
    Trigger trigger = Trigger::user;
    TokenCount tokens = 0;
    Seconds tool{}, think{};
  };
  Cause first() {
    Cause cause;
    cause.tokens = draw(profile_.first, streams_.prompts);
    return cause;
  }
  Cause next() {
    Cause cause;
    cause.tool = draw(profile_.client, streams_.tools);
    if (chance(profile_.user_share, streams_.structure)) {
      cause.tokens = draw(profile_.after_user, streams_.prompts);
      cause.think = draw(profile_.think, streams_.users);
      return cause;
    }
    cause.trigger = Trigger::tool;
    Seconds longest{};
    for (std::int64_t i = draw(profile_.parallel_tools, streams_.structure); i > 0; --i) {
      cause.tokens += draw(profile_.after_tool, streams_.prompts);
      longest = std::max(longest, draw(profile_.tool, streams_.tools));
    }
    cause.tool += longest;
    return cause;
  }

  // Appends a call with the context as its prompt. The ids of its answer, without the reasoning, which stands
  // before it.
  HashRange call(const Context& context, TokenCount answer, const Cause& cause, TokenCount appended,
                 std::vector<std::uint32_t>& parents, std::uint32_t agent) {
    Turn turn;
    turn.prompt_tokens = context.tokens();
    turn.reasoning_tokens = profile_.reasoning ? draw(*profile_.reasoning, streams_.outputs) : 0;
    turn.output_tokens = turn.reasoning_tokens + answer;
    turn.appended_tokens = appended;
    turn.parents = std::move(parents);
    turn.tool = cause.tool;
    turn.think = cause.think;
    turn.trigger = cause.trigger;
    if (profile_.patience && cause.trigger == Trigger::user)
      turn.patience = draw(*profile_.patience, streams_.users);
    turn.agent = agent;
    Context whole = context;
    whole.say(turn.output_tokens);
    turn.content = std::make_shared<const PromptContent>(whole.content());
    const std::uint64_t end = next_id_;
    if (end - first_id_ > kIdsEach || session_->turns.size() == kMostTurns)
      throw ConfigError("a session of the agents '" + profile_.name +
                        "' would have more than 2^32 tokens of its own, or 100,000 calls");
    session_->turns.push_back(std::move(turn));
    parents = {static_cast<std::uint32_t>(session_->turns.size() - 1)};
    return {end - static_cast<std::uint64_t>(answer), answer};
  }
  TokenCount answer() { return draw(profile_.output, streams_.outputs); }
  // The answer as it stands in later prompts: computed anew where reasoning stood before it.
  void keep(Context& context, HashRange said) const {
    if (profile_.reasoning) {
      context.say(said.count);
    } else {
      context.repeat(said);
    }
  }

  // Sub-agents that the call before has started: the next call waits for them all.
  void fork(const Context& context, std::vector<std::uint32_t>& parents) {
    const SubAgents& agents = *profile_.sub_agents;
    const std::vector<std::uint32_t> start = parents;
    for (std::int64_t i = draw(agents.count, streams_.structure); i > 0; --i) {
      Context own = prefix(2 * index_ + 1, agents.shared_prefix);
      if (agents.inherits)
        for (const HashRange& said : context.content().ranges) own.repeat(said);
      std::vector<std::uint32_t> chain = start;
      GrowingContext policy;
      policy.window = kMostContext;
      run(policy, own, draw(agents.calls, streams_.structure), -1, chain, ++agents_);
      parents.insert(parents.end(), chain.begin(), chain.end());
    }
  }

  void run(const GrowingContext& policy, Context context, std::int64_t calls, std::int64_t fork_at,
           std::vector<std::uint32_t>& parents, std::uint32_t agent) {
    const Context start = context;
    for (std::int64_t c = 0; c < calls; ++c) {
      Cause cause = c == 0 && agent == 0 ? first() : c == 0 ? first_of_sub_agent() : next();
      TokenCount said = answer();
      // The first call is made, however short its answer has to be.
      if (session_->turns.empty()) said = std::min(said, policy.window - context.tokens() - 1);
      const TokenCount room = policy.window - context.tokens() - said;
      if (room < 1) return;
      cause.tokens = std::min(cause.tokens, room);
      context.say(cause.tokens);
      const bool compacts = policy.compact_at && context.tokens() + said > *policy.compact_at && c > 0;
      if (compacts) said = draw(policy.compact_to, streams_.outputs);
      const HashRange kept = call(context, said, cause, cause.tokens, parents, agent);
      if (compacts) context = start;
      keep(context, kept);
      if (c == fork_at) fork(context, parents);
    }
  }
  Cause first_of_sub_agent() {
    Cause cause = first();
    cause.trigger = Trigger::tool;
    return cause;
  }

  void run(const LastPage& policy, Context base, std::int64_t calls, std::int64_t fork_at,
           std::vector<std::uint32_t>& parents, std::uint32_t agent) {
    const Cause task = first();
    base.say(task.tokens);
    TokenCount logged = 0;
    for (std::int64_t c = 0; c < calls; ++c) {
      // The first page is there when the task comes.
      Cause page = next();
      if (c == 0) {
        page.tool = page.think = Seconds{};
        page.trigger = Trigger::user;
      }
      Context prompt = base;
      prompt.say(page.tokens);
      const TokenCount appended = page.tokens + (c == 0 ? task.tokens : logged);
      const HashRange said = call(prompt, answer(), page, appended, parents, agent);
      logged = static_cast<TokenCount>(std::llround(policy.kept_output * static_cast<double>(said.count)));
      base.say(logged);
      if (c == fork_at) fork(base, parents);
    }
  }

  void run(const RecentImages& policy, const Context& start, std::int64_t calls, std::int64_t fork_at,
           std::vector<std::uint32_t>& parents, std::uint32_t agent) {
    struct Piece {
      HashRange said;
      bool image;
    };
    std::deque<Piece> pieces;
    std::int64_t images = 0;
    const auto add = [&](TokenCount tokens, bool image) {
      pieces.push_back({{next_id_, tokens}, image});
      next_id_ += static_cast<std::uint64_t>(tokens);
      images += image ? 1 : 0;
    };
    for (std::int64_t c = 0; c < calls; ++c) {
      const Cause cause = c == 0 ? first() : next();
      add(cause.tokens, false);
      add(policy.image, true);
      if (images - policy.keep >= policy.chunk) {
        std::int64_t removed = 0;
        std::erase_if(pieces, [&](const Piece& piece) { return piece.image && removed++ < policy.chunk; });
        images -= policy.chunk;
      }
      Context prompt = start;
      for (const Piece& piece : pieces) prompt.repeat(piece.said);
      const HashRange said = call(prompt, answer(), cause, cause.tokens + policy.image, parents, agent);
      if (profile_.reasoning) {
        add(said.count, false);
      } else {
        pieces.push_back({said, false});
      }
      if (c == fork_at) fork(prompt, parents);
    }
  }

  void run(const Exchanges& policy, const Context& start, std::int64_t calls, std::int64_t fork_at,
           std::vector<std::uint32_t>& parents, std::uint32_t agent) {
    const bool full = chance(policy.full, streams_.structure);
    std::deque<HashRange> said;  // texts and answers by turns
    TokenCount length = start.tokens();
    for (std::int64_t c = 0; c < calls; ++c) {
      const Cause cause = c == 0 ? first() : next();
      const TokenCount answered = answer();
      said.push_back({next_id_, cause.tokens});
      next_id_ += static_cast<std::uint64_t>(cause.tokens);
      length += cause.tokens;
      // The oldest exchanges go first; the last text stays.
      while (said.size() > 1 && (length + answered > policy.window || (!full && said.size() > 3))) {
        length -= said.front().count;
        said.pop_front();
      }
      Context prompt = start;
      for (const HashRange& text : said) prompt.repeat(text);
      HashRange kept = call(prompt, answered, cause, cause.tokens, parents, agent);
      if (profile_.reasoning) {
        kept.first = next_id_;
        next_id_ += static_cast<std::uint64_t>(kept.count);
      }
      said.push_back(kept);
      length += kept.count;
      if (c == fork_at) fork(prompt, parents);
    }
  }

  static constexpr TokenCount kMostContext = 1'000'000'000;
  const AgentProfile& profile_;
  std::uint64_t index_;
  std::uint64_t first_id_, next_id_;
  Streams& streams_;
  std::shared_ptr<Session> session_ = std::make_shared<Session>();
  std::uint32_t agents_ = 0;
};

class AgentsSource final : public Source {
 public:
  AgentsSource(const AgentsWorkload& workload, std::uint64_t seed)
      : workload_(workload),
        arrivals_(random_stream(seed, "arrivals")),
        kinds_stream_(random_stream(seed, "kinds")) {
    for (const AgentsWorkload::Share& share : workload_.mix) {
      kinds_.push_back(share.profile.name);
      streams_.emplace_back(seed, share.profile.name);
    }
  }

  std::optional<RequestSpec> next() override {
    if (workload_.sessions && given_ == *workload_.sessions) return std::nullopt;
    RequestSpec request;
    request.arrival = std::visit([&](auto& a) { return a.next(arrivals_); }, workload_.arrivals);
    if (request.arrival >= workload_.duration) return std::nullopt;
    last_ = request.arrival;
    request.kind = static_cast<std::uint32_t>(
        draw_weighted(workload_.mix, &AgentsWorkload::Share::share, kinds_stream_));
    const std::uint64_t first_id = (kFirstSession + static_cast<std::uint64_t>(given_++)) * kIdsEach;
    request.session =
        SessionWriter(workload_.mix[request.kind].profile, request.kind, first_id, streams_[request.kind])
            .write();
    return request;
  }

  const std::vector<std::string>& kinds() const override { return kinds_; }
  std::optional<std::int64_t> concurrency() const override {
    const auto* loop = std::get_if<ClosedLoop>(&workload_.arrivals);
    return loop == nullptr ? std::nullopt : std::optional(loop->concurrency);
  }
  double progress() const override {
    double share = workload_.duration == kNever ? -1 : std::min(1.0, last_ / workload_.duration);
    if (workload_.sessions)
      share = std::max(share, static_cast<double>(given_) / static_cast<double>(*workload_.sessions));
    return share;
  }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes;
    for (const AgentsWorkload::Share& share : workload_.mix) {
      if (share.profile.assumed.empty()) continue;
      std::string note = "of the profile '" + share.profile.name + "' are assumed: ";
      for (const std::string& field : share.profile.assumed)
        note += (&field == &share.profile.assumed.front() ? "" : "; ") + field;
      notes.push_back(note);
    }
    return notes;
  }

 private:
  AgentsWorkload workload_;
  RandomEngine arrivals_, kinds_stream_;
  std::vector<std::string> kinds_;
  std::vector<Streams> streams_;
  std::int64_t given_ = 0;
  Seconds last_{};
};

const AgentProfile* find_profile(const std::vector<AgentProfile>& profiles, std::string_view name) {
  const auto found = std::ranges::find(profiles, name, &AgentProfile::name);
  return found == profiles.end() ? nullptr : &*found;
}

}  // namespace

AgentsWorkload AgentsWorkload::read(Reader& r) {
  AgentsWorkload workload;
  if (auto arrivals = read_arrivals(r)) workload.arrivals = *arrivals;
  workload.sessions = r.find<std::int64_t>("sessions", Range::positive);
  workload.duration = r.find<Seconds>("duration", Range::positive).value_or(kNever);
  if (!workload.sessions && workload.duration == kNever)
    r.fail("sessions", "say how many sessions, or for how long they arrive (\"duration\")");
  if (std::holds_alternative<ClosedLoop>(workload.arrivals) && !workload.sessions)
    r.fail("sessions", "a closed loop ends after so many sessions; \"duration\" cannot end it");
  std::vector<AgentProfile> own;
  for (Reader& profile : r.objects("profiles", false)) {
    own.push_back(AgentProfile::read(profile));
    if (std::ranges::count(own, own.back().name, &AgentProfile::name) > 1)
      profile.fail("name", "two profiles are named '" + own.back().name + "'");
  }
  if (!r.has("mix")) {
    for (const AgentProfile& profile : own) workload.mix.push_back({profile, 1});
    if (own.empty()) r.fail("mix", "is missing: shares of agent kinds, such as { \"coding\": 1 }");
    return workload;
  }
  auto mix = r.object("mix");
  if (!mix) return workload;
  for (const std::string& name : mix->keys()) {
    const auto share = mix->get<double>(name, Range::positive);
    const AgentProfile* profile = find_profile(own, name);
    if (profile == nullptr) profile = find_profile(agent_profiles(), name);
    if (profile != nullptr) {
      workload.mix.push_back({*profile, share});
      continue;
    }
    std::vector<std::string_view> known;
    known.reserve(own.size() + agent_profiles().size());
    for (const AgentProfile& p : own) known.emplace_back(p.name);
    for (const AgentProfile& p : agent_profiles()) known.emplace_back(p.name);
    mix->unknown(name, name, known);
  }
  mix->done();
  if (workload.mix.empty()) r.fail("mix", "is empty");
  return workload;
}

std::unique_ptr<Source> AgentsWorkload::open(std::uint64_t seed) const {
  return std::make_unique<AgentsSource>(*this, seed);
}

}  // namespace disagg
