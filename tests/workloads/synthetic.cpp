#include "workloads/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/one_of.hpp"
#include "tests/workloads/support.hpp"

namespace disagg {
namespace {

std::string generated(const std::string& arrivals, const std::string& end, const std::string& lengths) {
  return R"({"kind": "synthetic", "arrivals": )" + arrivals + ", " + end + ", " + lengths + "}";
}

const std::string kPoisson = R"({"kind": "poisson", "requests_per_second": 5.5})";
const std::string kShort = R"("prompt_tokens": 10, "output_tokens": 5)";

struct Moments {
  double mean = 0;
  double cv = 0;
};

Moments gap_moments(const std::vector<RequestSpec>& requests) {
  double sum = 0;
  double squares = 0;
  Seconds last{};
  for (const RequestSpec& request : requests) {
    const double gap = (request.arrival - std::exchange(last, request.arrival)).si;
    sum += gap;
    squares += gap * gap;
  }
  const auto count = static_cast<double>(requests.size());
  const double mean = sum / count;
  return {mean, std::sqrt(squares / count - mean * mean) / mean};
}

std::vector<double> prompt_lengths(const std::string& distribution, int count) {
  const auto requests =
      all_requests(generated(kPoisson, "\"requests\": " + std::to_string(count),
                             "\"prompt_tokens\": " + distribution + ", \"output_tokens\": 1"));
  std::vector<double> lengths;
  lengths.reserve(requests.size());
  for (const RequestSpec& request : requests) lengths.push_back(static_cast<double>(request.prompt_tokens));
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

double at_quantile(const std::vector<double>& sorted, double quantile) {
  return sorted[static_cast<std::size_t>(quantile * static_cast<double>(sorted.size()))];
}

TEST_CASE("Poisson gaps have mean 1 / rate and coefficient of variation 1", "[workloads]") {
  const auto gaps = gap_moments(all_requests(generated(kPoisson, R"("requests": 100000)", kShort)));
  const double sigma = 1 / std::sqrt(100'000.0);  // of either estimate, relative
  CHECK(std::abs(gaps.mean * 5.5 - 1) < 3 * sigma);
  CHECK(std::abs(gaps.cv - 1) < 3 * sigma);
}

TEST_CASE("Gamma gaps have the mean and coefficient of variation asked for", "[workloads]") {
  const double n = 200'000;
  for (const double cv : {0.5, 3.0}) {
    const auto arrivals = R"({"kind": "gamma", "requests_per_second": 2, "cv": )" + std::to_string(cv) + "}";
    const auto gaps = gap_moments(all_requests(generated(arrivals, R"("requests": 200000)", kShort)));
    // Delta method, with the gamma's skewness 2 cv and kurtosis 3 + 6 cv^2.
    const double sigma_cv = cv * std::sqrt((0.5 + 0.5 * cv * cv) / n);
    CHECK(std::abs(gaps.mean * 2 - 1) < 3 * cv / std::sqrt(n));
    CHECK(std::abs(gaps.cv - cv) < 3 * sigma_cv);
  }
}

TEST_CASE("Constant arrivals are multiples of the gap, without drift", "[workloads]") {
  const auto requests = all_requests(
      generated(R"({"kind": "constant", "requests_per_second": 10})", R"("duration": "1000 s")", kShort));
  REQUIRE(requests.size() == 10'000);
  CHECK(requests[0].arrival.si == 0);
  CHECK(requests[3].arrival.si == 0.3);
  CHECK(requests[9999].arrival.si == 999.9);
}

TEST_CASE("A burst brings its size at once, every so often", "[workloads]") {
  const auto requests =
      all_requests(generated(R"({"kind": "burst", "size": 2, "every": "5 s"})", R"("requests": 5)", kShort));
  CHECK(arrivals(requests) == std::vector<double>{0, 0, 5, 5, 10});
}

TEST_CASE("A generator ends at its count or its duration, whichever comes first", "[workloads]") {
  const std::string constant = R"({"kind": "constant", "requests_per_second": 1})";
  CHECK(all_requests(generated(constant, R"("requests": 7)", kShort)).size() == 7);
  CHECK(all_requests(generated(constant, R"("duration": "5 s")", kShort)).size() == 5);
  CHECK(all_requests(generated(constant, R"("requests": 7, "duration": "5 s")", kShort)).size() == 5);
  CHECK(all_requests(generated(constant, R"("requests": 3, "duration": "5 s")", kShort)).size() == 3);
}

TEST_CASE("Every arrival process keeps order and its rate", "[workloads]") {
  const std::vector<std::string> four_a_second{
      R"({"kind": "poisson", "requests_per_second": 4})",
      R"({"kind": "gamma", "requests_per_second": 4, "cv": 2})",
      R"({"kind": "constant", "requests_per_second": 4})",
      R"({"kind": "burst", "size": 20, "every": "5 s"})",
      R"({"kind": "rates", "per_second": [0, 8], "every": "100 s"})",
      R"({"kind": "diurnal", "requests_per_second": 4, "peak_to_trough": 5, "period": "1000 s"})",
      R"({"kind": "markov-modulated", "states": [{"requests_per_second": 3, "mean_time": "1 s"}, {"requests_per_second": 5, "mean_time": "1 s"}]})",
  };
  // A closed loop has no rate of its own.
  CHECK(four_a_second.size() == OneOf<Arrivals>::names.size() - 1);
  for (const std::string& arrivals : four_a_second) {
    const auto requests = all_requests(generated(arrivals, R"("duration": "10000 s")", kShort));
    INFO(arrivals);
    CHECK(std::is_sorted(requests.begin(), requests.end(),
                         [](const auto& a, const auto& b) { return a.arrival < b.arrival; }));
    CHECK(static_cast<double>(requests.size()) == Approx(40'000).epsilon(3 * 2 / std::sqrt(40'000.0)));
  }
}

TEST_CASE("A lognormal has the median and 90th percentile asked for", "[workloads]") {
  const int n = 100'000;
  const double sigma = std::log(4.0) / 1.2815515655446004;
  const double sigma_p50 = sigma * 1.2533 / std::sqrt(n);  // of the logarithm of the estimates
  const double sigma_p90 = sigma * 1.7094 / std::sqrt(n);
  const std::vector<std::string> distributions{
      R"({"kind": "lognormal", "p50": 1000, "p90": 4000})",
      R"({"kind": "lognormal", "median": 1000, "sigma": )" + std::to_string(sigma) + "}"};
  for (const std::string& distribution : distributions) {
    const auto lengths = prompt_lengths(distribution, n);
    CHECK(std::abs(std::log(at_quantile(lengths, 0.5) / 1000)) < 3 * sigma_p50);
    CHECK(std::abs(std::log(at_quantile(lengths, 0.9) / 4000)) < 3 * sigma_p90);
  }
}

TEST_CASE("A lognormal stays within its bounds", "[workloads]") {
  const auto lengths = prompt_lengths(
      R"({"kind": "lognormal", "median": 1000, "sigma": 2, "low": 100, "high": 8192})", 10'000);
  CHECK(lengths.front() == 100);
  CHECK(lengths.back() == 8192);
  CHECK(prompt_lengths(R"({"kind": "lognormal", "median": 1, "sigma": 3})", 10'000).front() == 1);
}

TEST_CASE("A uniform length takes both of its bounds, and the middle as its mean", "[workloads]") {
  const auto lengths = prompt_lengths(R"({"kind": "uniform", "low": 11, "high": 20})", 10'000);
  double sum = 0;
  for (const double length : lengths) sum += length;
  CHECK(lengths.front() == 11);
  CHECK(lengths.back() == 20);
  CHECK(std::abs(sum / 10'000 - 15.5) < 3 * 2.8723 / 100);
}

TEST_CASE("An empirical length interpolates between its quantiles", "[workloads]") {
  const int n = 100'000;
  const auto lengths = prompt_lengths(
      R"({"kind": "empirical", "quantiles": [[0, 10], [0.5, 200], [0.9, 1000], [1, 4000]]})", n);
  CHECK(lengths.front() == 10);
  CHECK(lengths.back() > 3990);
  CHECK(lengths.back() <= 4000);
  const double sigma = std::sqrt(0.25 * 0.75 / n);
  CHECK(std::abs(at_quantile(lengths, 0.25) - 105) < 3 * sigma * 380 + 0.5);
  CHECK(std::abs(at_quantile(lengths, 0.7) - 600) < 3 * sigma * 2000 * 1.1 + 0.5);
}

TEST_CASE("A fixed length may be a plain number", "[workloads]") {
  const auto requests =
      all_requests(generated(kPoisson, R"("requests": 2)",
                             R"("prompt_tokens": {"kind": "fixed", "tokens": 512}, "output_tokens": 64)"));
  CHECK(requests[1].prompt_tokens == 512);
  CHECK(requests[1].output_tokens == 64);
}

TEST_CASE("Shares are relative: 3 to 1 gives three quarters and one", "[workloads]") {
  const auto source = open_workload(
      generated(kPoisson, R"("requests": 40000)",
                R"("kinds": [{"name": "coding", "share": 3, "prompt_tokens": 100, "output_tokens": 1},
                   {"name": "chat", "share": 1, "prompt_tokens": 10, "output_tokens": 2}])"));
  CHECK(source->kinds() == std::vector<std::string>{"coding", "chat"});
  double coding = 0;
  while (const auto request = source->next()) {
    coding += request->kind == 0 ? 1 : 0;
    CHECK(request->prompt_tokens == (request->kind == 0 ? 100 : 10));
  }
  CHECK(std::abs(coding / 40'000 - 0.75) < 3 * std::sqrt(0.75 * 0.25 / 40'000));
}

const std::string kCoding =
    R"({"name": "coding", "prompt_tokens": {"kind": "uniform", "low": 1, "high": 100000},
                                "output_tokens": {"kind": "uniform", "low": 1, "high": 100000}})";
const std::string kChat = R"({"name": "chat", "prompt_tokens": 1, "output_tokens": 1})";

TEST_CASE("Another kind shifts neither the arrivals nor the lengths of the first", "[workloads]") {
  const auto alone = all_requests(generated(kPoisson, R"("requests": 1000)", "\"kinds\": [" + kCoding + "]"));
  const auto both =
      all_requests(generated(kPoisson, R"("requests": 1000)", "\"kinds\": [" + kChat + ", " + kCoding + "]"));
  CHECK(arrivals(alone) == arrivals(both));
  std::size_t coding = 0;
  for (const RequestSpec& request : both) {
    if (request.kind == 0) continue;
    CHECK(request.prompt_tokens == alone[coding].prompt_tokens);
    CHECK(request.output_tokens == alone[coding].output_tokens);
    ++coding;
  }
  CHECK(coding > 400);
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  double sum_x = 0, sum_y = 0, sum_xx = 0, sum_yy = 0, sum_xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum_x += x[i];
    sum_y += y[i];
    sum_xx += x[i] * x[i];
    sum_yy += y[i] * y[i];
    sum_xy += x[i] * y[i];
  }
  return (n * sum_xy - sum_x * sum_y) /
         std::sqrt((n * sum_xx - sum_x * sum_x) * (n * sum_yy - sum_y * sum_y));
}

TEST_CASE("Gap, kind, prompt and output of a request are uncorrelated", "[workloads]") {
  std::string twin = kCoding;
  twin.replace(twin.find("coding"), 6, "twin");
  const auto requests =
      all_requests(generated(kPoisson, R"("requests": 40000)", "\"kinds\": [" + kCoding + ", " + twin + "]"));
  std::vector<std::vector<double>> columns(4);
  Seconds last{};
  for (const RequestSpec& request : requests) {
    columns[0].push_back((request.arrival - std::exchange(last, request.arrival)).si);
    columns[1].push_back(request.kind);
    columns[2].push_back(static_cast<double>(request.prompt_tokens));
    columns[3].push_back(static_cast<double>(request.output_tokens));
  }
  for (std::size_t i = 0; i < columns.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      CHECK(std::abs(correlation(columns[i], columns[j])) < 3 / std::sqrt(40'000.0));
}

TEST_CASE("Another rate scales the arrivals and leaves the lengths alone", "[workloads]") {
  const auto slow = all_requests(generated(kPoisson, R"("requests": 100)", "\"kinds\": [" + kCoding + "]"));
  const auto fast = all_requests(generated(R"({"kind": "poisson", "requests_per_second": 11})",
                                           R"("requests": 100)", "\"kinds\": [" + kCoding + "]"));
  CHECK(fast[99].arrival.si == Approx(slow[99].arrival.si / 2));
  CHECK(fast[99].prompt_tokens == slow[99].prompt_tokens);
}

TEST_CASE("The same seed gives the same requests, another seed others", "[workloads]") {
  const auto object =
      generated(kPoisson, R"("requests": 1000)", "\"kinds\": [" + kCoding + ", " + kChat + "]");
  const auto first = all_requests(object, 7);
  const auto again = all_requests(object, 7);
  const auto other = all_requests(object, 8);
  CHECK(arrivals(first) == arrivals(again));
  CHECK(arrivals(first) != arrivals(other));
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(first[i].kind == again[i].kind);
    CHECK(first[i].prompt_tokens == again[i].prompt_tokens);
    CHECK(first[i].output_tokens == again[i].output_tokens);
  }
}

TEST_CASE("A synthetic workload that cannot be is refused with its place", "[workloads]") {
  struct Broken {
    std::string arrivals;
    std::string end;
    std::string lengths;
    std::string message;
  };
  const std::string ten = R"("requests": 10)";
  const auto prompt = [](const std::string& distribution) {
    return "\"output_tokens\": 5, \"prompt_tokens\": " + distribution;
  };
  const std::vector<Broken> table{
      {kPoisson, R"("first": 3)", kShort, "workload: needs \"requests\" or \"duration\" to end"},
      {kPoisson, R"("requests": 0)", kShort, "workload.requests: must be greater than zero"},
      {kPoisson, R"("duration": "0 s")", kShort, "workload.duration: must be greater than zero"},
      {kPoisson, ten, R"("prompt_tokens": 10)", "workload: 'output_tokens' is missing"},
      {kPoisson, ten, prompt("0"), "workload.prompt_tokens: must be greater than zero"},
      {kPoisson, ten, prompt("1.5"), "workload.prompt_tokens: expects a whole number, not 1.5"},
      {kPoisson, ten, prompt("2000000000"), "workload.prompt_tokens: must be at most 1000000000"},
      {kPoisson, ten, prompt(R"({"kind": "log-normal"})"),
       "workload.prompt_tokens.kind: 'log-normal' is unknown; known: fixed uniform lognormal empirical "
       "mixture; "
       "did you mean 'lognormal'?"},
      {kPoisson, ten, prompt(R"({"kind": "uniform", "low": 5, "high": 4})"),
       "workload.prompt_tokens.high: must not be below 'low'"},
      {kPoisson, ten, prompt(R"({"kind": "lognormal", "p50": 5, "p90": 4})"),
       "workload.prompt_tokens.p90: must not be below 'p50'"},
      {kPoisson, ten, prompt(R"({"kind": "lognormal", "median": 5, "sigma": -1})"),
       "workload.prompt_tokens.sigma: must not be negative"},
      {kPoisson, ten, prompt(R"({"kind": "empirical", "quantiles": [[0, 1], [1]]})"),
       "workload.prompt_tokens.quantiles: expects pairs of a quantile and a number of tokens"},
      {kPoisson, ten, prompt(R"({"kind": "empirical", "quantiles": [[0, 1], [0.9, 5]]})"),
       "workload.prompt_tokens.quantiles: must begin at quantile 0 and end at quantile 1"},
      {kPoisson, ten, prompt(R"({"kind": "empirical", "quantiles": [[0, 1], [0, 2], [1, 5]]})"),
       "workload.prompt_tokens.quantiles: quantiles must rise from pair to pair"},
      {kPoisson, ten, prompt(R"({"kind": "empirical", "quantiles": [[0, 9], [1, 5]]})"),
       "workload.prompt_tokens.quantiles: tokens must not fall from pair to pair"},
      {kPoisson, ten, prompt(R"({"kind": "empirical", "quantiles": [[0, 0], [1, 5]]})"),
       "workload.prompt_tokens.quantiles: tokens must be from 1 to 1000000000"},
      {kPoisson, ten, "\"kinds\": []", "workload.kinds: needs at least one kind of request"},
      {kPoisson, ten, "\"kinds\": [" + kChat + "," + kChat + "]",
       "workload.kinds[1].name: 'chat' stands twice"},
      {kPoisson, ten, R"("kinds": [{"name": "a", "share": 0, "prompt_tokens": 1, "output_tokens": 1}])",
       "workload.kinds[0].share: must be greater than zero"},
      {R"({"kind": "poisson", "requests_per_second": 0})", ten, kShort,
       "workload.arrivals.requests_per_second: must be greater than zero"},
      {R"({"kind": "poisson", "requests_per_second": 1e-300})", ten, kShort,
       "workload.arrivals.requests_per_second: must be between 1e-9 and 1e9"},
      {R"({"kind": "gamma", "requests_per_second": 1})", ten, kShort, "workload.arrivals: 'cv' is missing"},
      {R"({"kind": "burst", "size": 0, "every": "1 s"})", ten, kShort,
       "workload.arrivals.size: must be greater than zero"},
      {R"({"kind": "diurnal", "requests_per_second": 1, "peak_to_trough": 2, "period": "1 ns"})", ten, kShort,
       "workload.arrivals.period: must be between 1 ms and 1e9 s"},
      {R"({"kind": "diurnal", "requests_per_second": 1, "peak_to_trough": 2, "peak_at": "1e300 s"})", ten,
       kShort, "workload.arrivals.peak_at: must be between 1 ms and 1e9 s"},
      {R"({"kind": "markov-modulated", "states": [{"requests_per_second": 1e-9, "mean_time": "1 ms"},
           {"requests_per_second": 1e-3, "mean_time": "1 ms"}]})",
       ten, kShort, "workload.arrivals.states: bring less than one arrival in 100,000 visits of a state"},
      {R"({"kind": "rates", "per_second": [1], "every": "1 ns"})", ten, kShort,
       "workload.arrivals.every: must be between 1 ms and 1e9 s"},
  };
  for (const Broken& broken : table) {
    const std::string error = error_of(generated(broken.arrivals, broken.end, broken.lengths));
    CHECK(error.substr(error.find(": ") + 2) == broken.message);
    CHECK(error.starts_with("scenario.json:1:"));
  }
}

}  // namespace
}  // namespace disagg
