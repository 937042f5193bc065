#include "workloads/jsonl.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace disagg {
namespace {

std::vector<JsonField> fields(std::string_view text) {
  std::vector<JsonField> found;
  JsonLine line(text);
  while (const auto field = line.next()) found.push_back(*field);
  return found;
}

TEST_CASE("A JSON line gives its fields as they are written", "[workloads]") {
  const auto found = fields("\t{\"a\" : -1.5e+3 ,\"b\":\"x\\\"\\u00e4\", \"c\": [ 1 , -2,3.0 ], \"d\":[]}  ");
  REQUIRE(found.size() == 4);
  CHECK(found[0].key == "a");
  CHECK(found[0].kind == JsonField::Kind::number);
  CHECK(found[0].text == "-1.5e+3");
  CHECK(found[1].kind == JsonField::Kind::string);
  CHECK(found[1].text == "x\\\"\\u00e4");
  CHECK(found[2].kind == JsonField::Kind::numbers);
  CHECK(found[2].text == "[ 1 , -2,3.0 ]");
  CHECK(found[3].text == "[]");
  CHECK(fields(" { } ").empty());
}

TEST_CASE("What is not strict JSON, or nests, is refused with its column", "[workloads]") {
  struct Row {
    std::string_view line;
    std::string_view what;
  };
  for (const Row& row : {
           Row{"{\"a\":01}", "column 7: expects no digit after a leading 0, not '1'"},
           Row{"{\"a\":1.}", "column 8: expects a digit, not '}'"},
           Row{"{\"a\":-}", "column 7: expects a digit, not '}'"},
           Row{"{\"a\":1e}", "column 8: expects a digit, not '}'"},
           Row{"{\"a\":+1}", "column 6: expects a number, a string or an array of numbers, not '+'"},
           Row{"{\"a\":NaN}", "column 6: expects a number, a string or an array of numbers, not 'N'"},
           Row{"{\"a\":true}", "column 6: expects a number, a string or an array of numbers, not 't'"},
           Row{"{\"a\":{\"b\":1}}", "column 6: expects a number, a string or an array of numbers, not '{'"},
           Row{"{\"a\":[[1]]}", "column 7: expects a number, not '['"},
           Row{"{\"a\":[1,]}", "column 9: expects a number, not ']'"},
           Row{"{\"a\":[1 2]}", "column 9: expects ',' or ']', not '2'"},
           Row{"{\"a\":\"\\x\"}", "column 8: expects an escape such as \\n, not 'x'"},
           Row{"{\"a\":\"\\u12g4\"}", "column 11: expects a hexadecimal digit, not 'g'"},
           Row{"{\"a\":\"\t\"}", "column 7: expects a character or the end of the string, not '\\x09'"},
           Row{"{\"a\":\"\\", "column 8: expects an escape such as \\n, but the line ends"},
           Row{"{\"a\" 1}", "column 6: expects ':', not '1'"},
           Row{"{a:1}", "column 2: expects a field name in double quotes, not 'a'"},
           Row{"{,}", "column 2: expects a field name in double quotes, not ','"},
           Row{"{\"a\":1,}", "column 8: expects a field name in double quotes, not '}'"},
           Row{"{\"a\":1 \"b\":2}", "column 8: expects ',' or '}', not '\"'"},
           Row{"{\"a\":1}{}", "column 8: expects nothing behind '}', not '{'"},
       }) {
    CHECK_THROWS_WITH(fields(row.line), std::string(row.what));
  }
}

}  // namespace
}  // namespace disagg
