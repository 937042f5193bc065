#include "sim/engine/agenda.hpp"

#include <boost/random/uniform_int_distribution.hpp>
#include <catch2/catch.hpp>
#include <map>

#include "sim/base/random.hpp"

using namespace disagg;

TEST_CASE("100,000 events on 50 dates run by date, and in the order scheduled where dates are equal") {
  auto random = random_stream(1, "agenda");
  Agenda agenda;
  std::vector<std::pair<int, int>> ran;  // date, number
  auto* log = &ran;
  int number = 0;
  const auto schedule = [&](int from) {
    const int date = boost::random::uniform_int_distribution<int>(from, 50)(random);
    agenda.at(Seconds{static_cast<double>(date)}, [log, date, n = number++] { log->emplace_back(date, n); });
  };
  for (int i = 0; i < 50'000; ++i) schedule(0);
  int now = 0;
  while (!agenda.empty()) {
    now = static_cast<int>(agenda.next_date().si);
    agenda.pop()();
    if (number < 100'000) schedule(now);
  }
  REQUIRE(ran.size() == 100'000);
  for (std::size_t i = 1; i < ran.size(); ++i) {
    REQUIRE(ran[i - 1].first <= ran[i].first);
    if (ran[i - 1].first == ran[i].first) REQUIRE(ran[i - 1].second < ran[i].second);
  }
}

TEST_CASE("An event without a finite date is a broken invariant") {
  Agenda agenda;
  CHECK_THROWS_AS(agenda.at(kNever, [] {}), BrokenInvariant);
  CHECK_THROWS_AS(agenda.at(Seconds{std::nan("")}, [] {}), BrokenInvariant);
  CHECK(agenda.next_date() == kNever);
}
