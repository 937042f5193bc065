#include "sim/serving/router.hpp"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>

#include "sim/base/expect.hpp"

namespace disagg {

std::size_t RandomChoice::pick() {
  return boost::random::uniform_int_distribution<std::size_t>(0, size - 1)(random);
}

template <class Picker>
void StagedRouter<Picker>::begin(std::span<const RouterReplica> replicas, std::uint64_t seed) {
  places_.resize(replicas.size());
  for (const RouterReplica& replica : replicas) {
    Place& place = places_[replica.id.index];
    if (replica.role == Role::decode) {
      place.in_decode = true;
      place.decode = static_cast<std::uint32_t>(decode_.replicas.size());
      decode_.replicas.push_back(replica);
    } else {
      place.in_prefill = true;
      place.prefill = static_cast<std::uint32_t>(prefill_.replicas.size());
      prefill_.replicas.push_back(replica);
    }
  }
  prefill_.picker.begin(prefill_.replicas.size(), random_stream(seed, "router/prefill"));
  decode_.picker.begin(decode_.replicas.size(), random_stream(seed, "router/decode"));
}

template <class Picker>
Route StagedRouter<Picker>::route(const RoutedRequest&, std::span<const ReplicaLoad>) {
  const RouterReplica& chosen = prefill_.replicas[prefill_.picker.pick()];
  if (chosen.role == Role::mixed) return {chosen.id, chosen.id};
  return {chosen.id, std::nullopt};
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

MixedPool MixedPool::read(Reader& r) {
  MixedPool router;
  router.queue_tokens_ = r.get_or<TokenCount>("queue_tokens", "8192", Range::positive);
  return router;
}

void MixedPool::begin(std::span<const RouterReplica> replicas, std::uint64_t) {
  replicas_.assign(replicas.begin(), replicas.end());
  for (const RouterReplica& replica : replicas) {
    if (replica.role == Role::mixed) {
      mixed_.push_back(replica.id);
    } else {
      home(replica.id).push_back(replica.id);
    }
  }
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

Route MixedPool::route(const RoutedRequest& request, std::span<const ReplicaLoad> loads) {
  const auto least = [&](const Pool& pool, auto measure) -> std::optional<ReplicaId> {
    const auto found = std::min_element(pool.begin(), pool.end(),
                                        [&](ReplicaId a, ReplicaId b) { return measure(a) < measure(b); });
    if (found == pool.end()) return std::nullopt;
    return *found;
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
  }
  return {*prefill, *decode};
}

ReplicaId MixedPool::decode(const RoutedRequest&) {
  expect(false, "the mixed pool chooses both replicas at once");
  return {};
}

}  // namespace disagg
