// Runs every *.txt of this folder. With CAUSEWAY_UPDATE=1 the tables in the files become what came out: read the diff.
#include "scenario.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/file.h"

using namespace causeway;

TEST_CASE("every scenario gives its tables") {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(CAUSEWAY_SCENARIOS))
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") files.insert(entry.path());
  REQUIRE_FALSE(files.empty());
  for (const auto& file : files) {
    SUBCASE(file.stem().c_str()) {
      auto text = read_file(file);
      REQUIRE(text);
      auto out = test::run_scenario(test::parse_scenario(*text));
      REQUIRE_MESSAGE(out, (out ? "" : out.error().message()));
      const std::string now = test::print_scenario(*out);
      if (std::getenv("CAUSEWAY_UPDATE"))
        REQUIRE(replace_file(file, now));
      else
        CHECK(now == *text);
    }
  }
}
