// `causeway lab load`: images out of archives, for the containers of a lab.
#include "cli/lab.h"
#include "cli/output.h"
#include "lab/images/image_store.h"
#include "lab/lifecycle.h"

namespace causeway::cli {

int lab_load(const LoadOptions& options) {
  auto state = lab::observe(options.lab);
  if (!state) return complain(state.error());
  const std::string index = state->paths.image_index();
  if (!options.as.empty() && options.archives.size() > 1)
    return complain(Error(Errc::Invalid, "--as names one image: load one archive with it"));
  for (const auto& archive : options.archives) {
    auto loaded = lab::load_archive(archive, options.as, index);
    if (!loaded) return complain(std::move(loaded.error()).with("load"));
    for (const auto& image : *loaded)
      fmt::print("{} {}{}\n", image.name, image.digest, image.unpacked ? "" : " (unpacked before)");
  }
  if (!options.list && !options.archives.empty()) return 0;
  auto images = lab::read_image_index(index);
  if (!images) return complain(images.error());
  if (images->empty()) {
    fmt::print("no images; `causeway lab load FILE` loads one\n");
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"IMAGE", "FOLDER"}};
  for (const auto& [name, folder] : *images) rows.push_back({name, std::string(lab::kImageStore) + "/" + folder});
  fmt::print("{}", table(rows));
  return 0;
}

}  // namespace causeway::cli
