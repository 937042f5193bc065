#include "sim/serving/router.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>

#include "sim/base/expect.hpp"

namespace disagg {

std::size_t RandomChoice::pick() {
  return boost::random::uniform_int_distribution<std::size_t>(0, size - 1)(random);
}

std::size_t RandomChoice::pick_among(std::span<const std::size_t> some) {
  return some[boost::random::uniform_int_distribution<std::size_t>(0, some.size() - 1)(random)];
}

std::optional<std::size_t> HandOffAware::pick_by_path(std::span<const RouterReplica> replicas,
                                                      const std::vector<bool>& up,
                                                      const RoutedRequest& request) const {
  const TokenCount whole = request.final_tokens();
  const auto open = [&](std::size_t i) { return up[i] && whole <= replicas[i].kv_capacity; };
  std::optional<double> least;
  for (std::size_t i = 0; i < replicas.size(); ++i)
    if (open(i)) least = std::min(least.value_or(kv_load(i, whole)), kv_load(i, whole));
  if (!least) return std::nullopt;
  // What has no room now would wait for it: not where another has some.
  const double most = *least <= 1 ? std::min(*least + slack, 1.0) : *least + slack;
  std::optional<std::size_t> best;
  std::pair<Seconds, double> quickest;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (!open(i) || kv_load(i, whole) > most) continue;
    const Seconds time = request.hand_off.empty() ? Seconds{} : request.hand_off[replicas[i].id.index];
    const std::pair cost{time, kv_load(i, whole)};
    if (best && quickest <= cost) continue;
    best = i;
    quickest = cost;
  }
  return best;
}

template <class Picker>
StagedRouter<Picker> StagedRouter<Picker>::read(Reader& r) {
  StagedRouter router;
  if constexpr (requires { router.prefill_.picker.read_weights(r); }) {
    router.prefill_.picker.read_weights(r);
    router.decode_.picker = router.prefill_.picker;
  }
  return router;
}

template <class Picker>
void StagedRouter<Picker>::Stage::add(const RouterReplica& replica) {
  least_room = replicas.empty() ? replica.kv_capacity : std::min(least_room, replica.kv_capacity);
  most_room = std::max(most_room, replica.kv_capacity);
  replicas.push_back(replica);
  up.push_back(true);
}

template <class Picker>
template <class Fits>
const RouterReplica* StagedRouter<Picker>::Stage::pick(const RoutedRequest& request, bool all_fit,
                                                       Fits&& fits) {
  if constexpr (knows_caches) {
    const RouterReplica* best = nullptr;
    std::pair<double, std::int64_t> least;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      if (!up[i] || !fits(replicas[i])) continue;
      const auto cost = picker.cost(i, request.cached.empty() ? 0 : request.cached[replicas[i].id.index]);
      if (best != nullptr && least <= cost) continue;
      best = &replicas[i];
      least = cost;
    }
    return best;
  } else {
    if (all_fit && down == 0 && !replicas.empty()) return &replicas[picker.pick()];
    std::vector<std::size_t> some;
    for (std::size_t i = 0; i < replicas.size(); ++i)
      if (up[i] && fits(replicas[i])) some.push_back(i);
    return some.empty() ? nullptr : &replicas[picker.pick_among(some)];
  }
}

template <class Picker>
void StagedRouter<Picker>::begin(std::span<const RouterReplica> replicas, std::uint64_t seed) {
  places_.resize(replicas.size());
  for (const RouterReplica& replica : replicas) {
    Place& place = places_[replica.id.index];
    if (replica.role == Role::decode) {
      place.in_decode = true;
      place.decode = static_cast<std::uint32_t>(decode_.replicas.size());
      decode_.add(replica);
    } else {
      place.in_prefill = true;
      place.prefill = static_cast<std::uint32_t>(prefill_.replicas.size());
      prefill_.add(replica);
    }
  }
  prefill_.picker.begin(prefill_.replicas.size(), random_stream(seed, "router/prefill"));
  decode_.picker.begin(decode_.replicas.size(), random_stream(seed, "router/decode"));
}

template <class Picker>
std::optional<Route> StagedRouter<Picker>::route(const RoutedRequest& request, std::span<const ReplicaLoad>) {
  const TokenCount whole = request.final_tokens();
  const bool decodable = request.output_tokens == 1 || whole <= decode_.most_room;
  if constexpr (requires { Picker::sticky; }) {
    if (const RouterReplica* before = home(request); before != nullptr && takes(*before, request))
      return to(*before);
  }
  const RouterReplica* chosen =
      prefill_.pick(request, whole <= prefill_.least_room && (decodable || decode_.replicas.empty()),
                    [&](const RouterReplica& r) { return takes(r, request); });
  if (chosen == nullptr) return std::nullopt;
  return to(*chosen);
}

template <class Picker>
Route StagedRouter<Picker>::to(const RouterReplica& replica) {
  if (replica.role == Role::mixed) return {replica.id, replica.id};
  return {replica.id, std::nullopt};
}

template <class Picker>
const RouterReplica* StagedRouter<Picker>::home(const RoutedRequest& request) const {
  if (!request.previous.valid()) return nullptr;
  const std::uint32_t at = places_[request.previous.index].prefill;
  return prefill_.up[at] ? &prefill_.replicas[at] : nullptr;
}

// A mixed replica must hold the whole request; a prefill replica its prompt, if it can decode somewhere.
template <class Picker>
bool StagedRouter<Picker>::takes(const RouterReplica& replica, const RoutedRequest& request) const {
  const TokenCount whole = request.final_tokens();
  if (replica.role == Role::mixed) return whole <= replica.kv_capacity;
  return (request.output_tokens == 1 || whole <= decode_.most_room) &&
         request.prompt_tokens <= replica.kv_capacity;
}

template <class Picker>
bool StagedRouter<Picker>::holds(const RoutedRequest& request) const {
  return std::ranges::any_of(prefill_.replicas, [&](const RouterReplica& r) { return takes(r, request); });
}

template <class Picker>
void StagedRouter<Picker>::set_up(ReplicaId id, bool up) {
  const Place& place = places_[id.index];
  Stage& stage = place.in_prefill ? prefill_ : decode_;
  const std::uint32_t at = place.in_prefill ? place.prefill : place.decode;
  expect(stage.up[at] != up, "a replica fails that is down, or is repaired that is up");
  stage.up[at] = up;
  stage.down = static_cast<std::size_t>(std::ranges::count(stage.up, false));
}

template <class Picker>
std::optional<ReplicaId> StagedRouter<Picker>::decode(const RoutedRequest& request, ReplicaId) {
  if constexpr (knows_paths) {
    const auto nearest = decode_.picker.pick_by_path(decode_.replicas, decode_.up, request);
    return nearest ? std::optional(decode_.replicas[*nearest].id) : std::nullopt;
  }
  const TokenCount whole = request.final_tokens();
  const RouterReplica* chosen = decode_.pick(request, whole <= decode_.least_room,
                                             [&](const RouterReplica& r) { return whole <= r.kv_capacity; });
  if (chosen == nullptr) return std::nullopt;
  return chosen->id;
}

template <class Picker>
void StagedRouter<Picker>::load_changed(ReplicaId id, const ReplicaLoad& load) {
  const Place& place = places_[id.index];
  if (place.in_prefill) prefill_.picker.load_changed(place.prefill, load);
  if (place.in_decode) decode_.picker.load_changed(place.decode, load);
}

template class StagedRouter<RoundRobin>;
template class StagedRouter<RandomChoice>;
template class StagedRouter<Least<Requests>>;
template class StagedRouter<Least<Tokens>>;
template class StagedRouter<Least<KvRoom>>;
template class StagedRouter<SessionSticky>;
template class StagedRouter<HandOffAware>;
template class StagedRouter<LeastCost<PrefixAffinity>>;
template class StagedRouter<LeastCost<CacheAware>>;

MixedPool MixedPool::read(Reader& r) {
  MixedPool router;
  router.queue_tokens_ = r.get_or<TokenCount>("queue_tokens", "8192", Range::positive);
  return router;
}

void MixedPool::begin(std::span<const RouterReplica> replicas, std::uint64_t) {
  replicas_.assign(replicas.begin(), replicas.end());
  kv_tokens_.resize(replicas.size());
  for (const RouterReplica& replica : replicas) home(replica.id).push_back(replica.id);
}

void MixedPool::load_changed(ReplicaId id, const ReplicaLoad& load) { kv_tokens_[id.index] = load.kv_tokens; }

void MixedPool::set_up(ReplicaId id, bool up) {
  if (up) return home(id).push_back(id);
  for (Pool* pool : {&prefill_, &decode_, &mixed_}) std::erase(*pool, id);
}

bool MixedPool::holds(const RoutedRequest& request) const {
  return std::ranges::any_of(replicas_,
                             [&](const RouterReplica& r) { return request.final_tokens() <= r.kv_capacity; });
}

void MixedPool::lend(ReplicaId id) {
  std::erase(home(id), id);
  mixed_.push_back(id);
}

void MixedPool::went_idle(ReplicaId id) {
  const auto lent = std::find(mixed_.begin(), mixed_.end(), id);
  if (lent == mixed_.end() || replicas_[id.index].role == Role::mixed) return;
  mixed_.erase(lent);
  home(id).push_back(id);
}

std::optional<Route> MixedPool::route(const RoutedRequest& request, std::span<const ReplicaLoad> loads) {
  // Any replica may come to do both, so it must hold the whole request.
  const auto fits = [&](ReplicaId id) { return request.final_tokens() <= replicas_[id.index].kv_capacity; };
  if (!holds(request)) return std::nullopt;
  const auto least = [&](const Pool& pool, auto measure) {
    std::optional<ReplicaId> best;
    for (const ReplicaId id : pool)
      if (fits(id) && (!best || measure(id) < measure(*best))) best = id;
    return best;
  };
  const auto tokens = [&](ReplicaId id) { return loads[id.index].tokens; };
  const auto memory = [&](ReplicaId id) { return loads[id.index].kv_tokens; };
  const auto takes_prompt = [&](std::optional<ReplicaId> id) {
    return id && !(loads[id->index].queued && tokens(*id) + request.prompt_tokens > queue_tokens_);
  };
  const auto takes_output = [&](std::optional<ReplicaId> id) {
    return id &&
           memory(*id) + request.prompt_tokens + request.output_tokens < replicas_[id->index].kv_capacity;
  };

  auto prefill = least(prefill_, tokens);
  if (!takes_prompt(prefill)) prefill = least(mixed_, tokens);
  if (!takes_prompt(prefill)) prefill.reset();
  auto decode = least(decode_, memory);
  if (!takes_output(decode)) decode = least(mixed_, memory);
  if (!takes_output(decode)) decode.reset();

  if (!prefill && (prefill = least(decode_, tokens))) lend(*prefill);
  if (!decode && (decode = least(prefill_, memory))) lend(*decode);
  if (!prefill || !decode) {
    Pool all = prefill_;
    all.insert(all.end(), mixed_.begin(), mixed_.end());
    all.insert(all.end(), decode_.begin(), decode_.end());
    prefill = decode = least(all, tokens);
    if (!prefill) return std::nullopt;
  }
  return Route{*prefill, *decode};
}

std::optional<ReplicaId> MixedPool::decode(const RoutedRequest& request, ReplicaId from) {
  std::optional<ReplicaId> best;
  for (const Pool* pool : {&decode_, &mixed_, &prefill_}) {
    for (const ReplicaId id : *pool) {
      if (id == from || request.final_tokens() > replicas_[id.index].kv_capacity) continue;
      if (!best || kv_tokens_[id.index] < kv_tokens_[best->index]) best = id;
    }
    if (best) return best;
  }
  return best;
}

}  // namespace disagg
