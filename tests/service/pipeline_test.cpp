#include <catch2/catch.hpp>

#include "sim/service/service_time.hpp"

using namespace disagg;

namespace {

ServiceTime service(std::int64_t tp, std::int64_t pp) {
  ReplicaShape shape;
  for (const ModelSpec& model : models())
    if (model.name == "meta-llama/Llama-3.1-8B") shape.model = model;
  for (const Accelerator& accelerator : accelerators())
    if (accelerator.name == "h100-sxm-80gb") shape.accelerator = accelerator;
  shape.parallelism = {.tp = tp, .pp = pp};
  return ServiceTime(Roofline{}, shape);
}

Seconds prefill(const ServiceTime& time, TokenCount tokens) {
  const std::vector chunks{PrefillChunk{.prefix = 0, .tokens = tokens, .completes = true}};
  return time.step(std::vector{RankStep{.chunks = chunks, .decode = {}}}).total();
}

Seconds decode(const ServiceTime& time, std::int64_t sequences, double context) {
  DecodeCurve curve;
  const DecodeContext batch{.sequences = sequences,
                            .all = {context * static_cast<double>(sequences), 1},
                            .longest = {context, 1},
                            .within = {},
                            .longest_within = {}};
  time.decode(std::vector{batch}, 1, curve);
  return curve.step(0);
}

}  // namespace

TEST_CASE(
    "A prompt of one token passes 1, 2 or 4 stages in the time of a decode step, for it cannot be cut") {
  for (const std::int64_t pp : {1, 2, 4}) {
    const ServiceTime time = service(1, pp);
    CHECK(prefill(time, 1).si == Approx(decode(time, 1, 1).si).epsilon(1e-3));
  }
}

TEST_CASE("A prompt of 8,192 tokens through 4 stages takes (4 + 3) / 16 of its time on one, and the hops") {
  const double one = prefill(service(1, 1), 8192).si;
  const double four = prefill(service(1, 4), 8192).si;
  CHECK(four > one * 7 / 16);
  CHECK(four < one * 7 / 16 * 1.2);
}

TEST_CASE("32 sequences on 4 stages read the weights 4 times a step, 2 sequences only twice") {
  const ServiceTime time = service(1, 4);
  CHECK(time.micro_batches(32) == 4);
  CHECK(time.micro_batches(2) == 2);
  CHECK(service(4, 1).micro_batches(32) == 1);
}

TEST_CASE("With 8 ranks and 2 KV heads each token is kept and read 4 times") {
  ModelSpec model;
  for (const ModelSpec& m : models())
    if (m.name == "meta-llama/Llama-3.1-8B") model = m;
  model.num_key_value_heads = 2;
  const double copies = Parallelism{.tp = 8, .pp = 1}.kv_copies(model);
  CHECK(copies == 4);
  const TransformerWork once(model, {});
  const TransformerWork copied(model, {}, copies);
  CHECK(copied.resident_kv_bytes_per_token() == once.kv_bytes_per_token() * 4);
  CHECK(copied.kv_bytes_per_token() == once.kv_bytes_per_token());
  CHECK(copied.decode_attention({.all = 100}, 0).bytes == once.decode_attention({.all = 100}, 0).bytes * 4);
}
