#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/experiments/program.hpp"

using namespace disagg;
using Catch::Contains;
using nlohmann::json;
using test::call;
using test::Ended;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;

namespace {

// 2 prefill replicas of 4 on one host, one decode replica of 8 on another; 131,072,000 bytes a prompt.
const std::string kScenario = R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
    { "name": "prefill", "role": "prefill", "accelerator": "h100-sxm-80gb", "replicas": 2, "parallelism": { "tp": 4 } },
    { "name": "decode", "role": "decode", "accelerator": "h100-sxm-80gb", "replicas": 1, "parallelism": { "tp": 8 } } ],
    "topology": { "kind": "leaf-spine", "hosts_per_leaf": 1, "spines": 2, "nic_efficiency": 1, "oversubscription": 2 } },
  "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 20,
    "prompt_tokens": 1000, "output_tokens": 5 } })";

json facts(const std::vector<std::string>& more = {}) {
  const TemporaryFolder folder;
  write_text(folder / "s.json", kScenario);
  std::vector<std::string> arguments{"topology", "s.json", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Ended ended = call(folder, arguments);
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  return json::parse(ended.out);
}

}  // namespace

TEST_CASE("topology tells sizes, distances, bisection and what fills first", "[topology]") {
  const json t = facts();
  CHECK(t.at("topology") == "leaf-spine");
  CHECK(t.at("vertices") == json({{"host", 2}, {"leaf-switch", 2}, {"spine-switch", 2}}));
  CHECK(t.at("links").at(0).at("count") == 2 * 8 + 2 * 2);
  CHECK(t.at("diameter_hops") == 4);
  CHECK(t.at("diameter_latency_s").get<double>() == Approx(2.6e-6));
  CHECK(t.at("bisection_bandwidth").get<double>() == Approx(200e9));
  CHECK(t.at("oversubscription").get<double>() == Approx(2));
  CHECK(t.at("single_points_of_failure") == json({"leaf-0", "leaf-1"}));
  const json& hand_offs = t.at("hand_offs");
  CHECK(hand_offs.at("mean_prompt_kv_bytes") == 131'072'000);
  CHECK(hand_offs.at("prompts_sampled") == 20);
  // Either both replicas share an uplink of 100 GB/s, or each has one.
  const json& first = hand_offs.at("links").at(0);
  CHECK(
      first.at("requests_per_second_when_full").get<double>() ==
      Approx(first.at("bandwidth").get<double>() / (131'072'000 * first.at("share_of_bytes").get<double>())));
  CHECK(first.at("bandwidth").get<double>() == Approx(100e9));
}

TEST_CASE(
    "The bill counts a NIC and 2 module ends for each NIC, and ports and modules at both ends of uplinks",
    "[topology]") {
  const json bill = facts().at("bill");
  std::map<std::string, double> counts;
  double price = 0, power = 0;
  for (const json& part : bill.at("parts")) {
    counts[part.at("part")] = part.at("count");
    price += part.at("price_usd").get<double>() * part.at("count").get<double>();
    power += part.at("power_w").get<double>() * part.at("count").get<double>();
  }
  // 16 NICs of 400 Gbit/s; 4 uplinks of 100 GB/s are 8 of 400 Gbit/s.
  CHECK(counts == std::map<std::string, double>{{"NIC, 400 Gbit/s", 16},
                                                {"InfiniBand switch port, 400 Gbit/s", 16 + 2 * 8},
                                                {"optical module, 400 Gbit/s", 2 * 16 + 2 * 8}});
  CHECK(bill.at("price_usd").get<double>() == Approx(16 * 1500 + 32 * 563 + 48 * 600));
  CHECK(bill.at("price_usd").get<double>() == Approx(price));
  CHECK(bill.at("power_w").get<double>() == Approx(power));
  CHECK(bill.at("complete") == true);
  const json star = facts({"--set", "cluster.topology=optical-star"}).at("bill");
  CHECK(star.at("complete") == false);
  CHECK(star.at("parts").at(1).at("part") == "photonic fabric port");
  CHECK(star.at("parts").at(1).at("price_usd").is_null());
}

TEST_CASE("topology prints tables, and writes a drawing, GraphML and a SimGrid platform", "[topology]") {
  const TemporaryFolder folder;
  write_text(folder / "s.json", kScenario);
  const Ended ended = call(folder, {"topology", "s.json", "--export", "f.dot"});
  CHECK(ended.code == 0);
  CHECK(ended.err == "the fabric is in f.dot\n");
  CHECK_THAT(ended.out,
             Contains("leaf-spine with packed placement: 2 of 2 hosts and 16 of 16 accelerators in use\n"));
  CHECK_THAT(ended.out, Contains("\nbisection bandwidth       200 GB/s per direction; the ports of half the "
                                 "hosts could send 400 GB/s\n"
                                 "oversubscription          2\nsingle points of failure  leaf-0 leaf-1\n"));
  CHECK_THAT(read_text(folder / "f.dot"), Contains("host-1\\n8 accelerators\\ndecode[0]"));
  CHECK(call(folder, {"topology", "s.json", "--export", "f.graphml", "-q"}).err.empty());
  CHECK_THAT(read_text(folder / "f.graphml"), Contains("<data key=\"key8\">leaf-0</data>"));
  CHECK(call(folder, {"topology", "s.json", "--export", "f.xml", "-q"}).err.empty());
  CHECK_THAT(read_text(folder / "f.xml"), Contains("<platform version=\"4.1\">"));
  const Ended bad = call(folder, {"topology", "s.json", "--export", "f.png"});
  CHECK(bad.code == 2);
  CHECK(bad.err ==
        "--export f.png: ending '.png' is unknown; known: .dot .svg .graphml .xml; did you mean '.svg'?\n");
}

TEST_CASE(
    "An .svg is drawn by Graphviz, or refused with the name of its package, and nothing half-done is left",
    "[topology]") {
  const TemporaryFolder folder;
  write_text(folder / "s.json", kScenario);
  const Ended ended = call(folder, {"topology", "s.json", "--export", "f.svg", "-q"});
  if (ended.code == 0) {
    CHECK_THAT(read_text(folder / "f.svg"), Contains("<svg"));
    CHECK(folder.names() == std::vector<std::string>{"f.svg", "s.json"});
  } else {
    CHECK(ended.err ==
          "--export f.svg: an .svg needs the program 'dot'; install the package graphviz, or export a .dot "
          "file\n");
    CHECK(folder.names() == std::vector<std::string>{"s.json"});
  }
}

TEST_CASE("A cluster that never hands off says so", "[topology]") {
  const TemporaryFolder folder;
  write_text(folder / "s.json", R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
    { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 2 } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "constant", "requests_per_second": 1 }, "requests": 2,
    "prompt_tokens": 10, "output_tokens": 5 } })");
  const Ended ended = call(folder, {"topology", "s.json"});
  CHECK(ended.code == 0);
  CHECK_THAT(ended.out, Contains("No replica hands its KV cache to another.\n"));
}
