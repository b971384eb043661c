// How flags become values. Only for the files of this folder that name flags.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/agent.h"
#include "base/ip.h"

namespace causeway::apps {

// A flag whose text `parse` turns into a value; its error is shown as it is.
template <class T, class Parse>
CLI::Option* parsed(CLI::App* app, const std::string& name, T& into, Parse parse, const std::string& help) {
  return app->add_option_function<std::string>(
      name,
      [&into, parse, name](const std::string& text) {
        auto value = parse(text);
        if (!value) throw CLI::ValidationError(name, value.error().message());
        into = std::move(*value);
      },
      help);
}

Result<std::vector<Cidr>> parse_cidrs(std::string_view text);  // comma-separated

// What the operator says of Services.
void add_service_flags(CLI::App& app, AgentOptions& options);

}  // namespace causeway::apps
