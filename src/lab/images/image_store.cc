#include "lab/images/image_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>

#include "base/fd.h"
#include "base/file.h"
#include "lab/images/archive.h"
#include "lab/images/run_tool.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// A folder that goes with its owner.
struct Workshop {
  std::string path;
  Workshop(Workshop&& other) noexcept : path(std::exchange(other.path, {})) {}
  explicit Workshop(std::string made) : path(std::move(made)) {}
  ~Workshop() {
    std::error_code error;
    if (!path.empty()) fs::remove_all(path, error);
  }
  static Result<Workshop> make() {
    std::error_code error;
    fs::create_directories(kImageStore, error);
    if (error) return fail(Errc::Io, "make {}: {}", kImageStore, error.message());
    std::string path = std::string(kImageStore) + "/.load-XXXXXX";
    if (!::mkdtemp(path.data())) return fail_errno(errno, "make a folder in " + std::string(kImageStore));
    return Workshop(std::move(path));
  }
};

// One load at a time: it also keeps prune_images() from what is about to be named.
Result<Fd> lock_store() {
  std::error_code error;
  fs::create_directories(kImageStore, error);
  Fd fd(::open((std::string(kImageStore) + "/.lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (!fd || ::flock(fd.get(), LOCK_EX) != 0) return fail_errno(errno, "lock " + std::string(kImageStore));
  return fd;
}

Result<json::object> read_object(const std::string& path) {
  boost::system::error_code error;
  auto value = json::parse(TRY(read_file(path)), error);
  if (error || !value.is_object()) return fail(Errc::Invalid, "{} is not a JSON object", path);
  return std::move(value.as_object());
}

// "sha256:0123..." of a descriptor, checked: it becomes a path.
Result<std::string> digest_of(const json::object& descriptor) {
  const auto* value = descriptor.if_contains("digest");
  std::string digest(value && value->is_string() ? std::string_view(value->as_string()) : "");
  bool good = digest.starts_with("sha256:") && digest.size() == 71;
  for (size_t i = 7; good && i < digest.size(); ++i) good = std::string_view("0123456789abcdef").contains(digest[i]);
  if (!good) return fail(Errc::Invalid, "\"{}\" is not a sha256 digest", digest);
  return digest;
}
std::string blob(const std::string& layout, const std::string& digest) {
  return layout + "/blobs/sha256/" + digest.substr(7);
}

// The digest of the configuration of the one image of a layout: the image's id.
Result<std::string> config_digest(const std::string& layout) {
  const auto index = TRY(read_object(layout + "/index.json"));
  const auto* manifests = index.if_contains("manifests");
  if (!manifests || !manifests->is_array() || manifests->as_array().size() != 1 ||
      !manifests->as_array()[0].is_object())
    return fail(Errc::Invalid, "{} does not hold exactly one image", layout);
  const auto manifest = TRY(read_object(blob(layout, TRY(digest_of(manifests->as_array()[0].as_object())))));
  const auto* config = manifest.if_contains("config");
  if (!config || !config->is_object()) return fail(Errc::Invalid, "the image's manifest names no configuration");
  return digest_of(config->as_object());
}

Status write_index(const std::string& path, const ImageIndex& index) {
  json::object object;
  for (const auto& [name, folder] : index) object[name] = folder;
  return replace_file(path, json::serialize(object) + "\n");
}

std::string folder_of(const std::string& digest) { return "sha256-" + digest.substr(7); }

// Puts one image of the archive into the store, unless it is there.
Result<LoadedImage> store_image(const std::string& source, const std::string& work) {
  const std::string layout = work + "/layout";
  TRY(run_tool({"skopeo", "--insecure-policy", "copy", "--quiet", source, "oci:" + layout + ":image"}));
  LoadedImage image{.digest = TRY(config_digest(layout))};
  const auto config = TRY(read_file(blob(layout, image.digest)));
  utsname machine{};
  ::uname(&machine);
  TRY(check_platform(TRY(parse_image_config(config)), machine.machine));
  const std::string target = std::string(kImageStore) + "/" + folder_of(image.digest);
  std::error_code error;
  if (!fs::exists(target, error)) {
    const std::string bundle = work + "/bundle";
    TRY(run_tool({"umoci", "raw", "unpack", "--image", layout + ":image", bundle}));
    const std::string made = work + "/made";
    fs::create_directories(made, error);
    fs::rename(bundle, made + "/rootfs", error);
    if (error) return fail(Errc::Io, "move the unpacked image: {}", error.message());
    TRY(replace_file(made + "/config.json", config));
    fs::rename(made, target, error);
    if (error) return fail(Errc::Io, "move the image to {}: {}", target, error.message());
    image.unpacked = true;
    fs::remove_all(bundle, error);
  }
  fs::remove_all(layout, error);
  return image;
}

}  // namespace

Result<ImageIndex> read_image_index(const std::string& path) {
  ImageIndex index;
  std::error_code error;
  if (!fs::exists(path, error)) return index;
  for (const auto& [name, folder] : TRY(read_object(path)))
    if (folder.is_string()) index.emplace(name, folder.as_string());
  return index;
}

Result<std::vector<LoadedImage>> load_archive(const std::string& archive, const std::string& as,
                                              const std::string& index) {
  std::error_code error;
  if (!fs::is_regular_file(archive, error)) return fail(Errc::NotFound, "there is no file {}", archive);
  const auto lock = TRY(lock_store());
  const auto work = TRY(Workshop::make());
  // skopeo splits its sources at colons.
  const std::string link = work.path + "/archive";
  fs::create_symlink(fs::absolute(archive), link, error);
  if (error) return fail(Errc::Io, "link {}: {}", archive, error.message());
  const auto listed = TRY(list_archive(link), "{}", archive);
  if (!as.empty() && listed.size() != 1)
    return fail(Errc::Invalid, "{} has {} images: one name does not do for them", archive, listed.size());
  std::vector<LoadedImage> out;
  ImageIndex names = TRY(read_image_index(index));
  for (const auto& entry : listed) {
    auto wanted = as.empty() ? entry.names : std::vector<std::string>{as};
    if (wanted.empty())
      return fail(Errc::Invalid, "{} says no name for an image of it: give one with --as NAME", archive);
    for (auto& name : wanted) name = TRY(full_reference(name), "{}", archive);
    auto image = TRY(store_image(entry.source, work.path), "{}", archive);
    for (const auto& name : wanted) {
      names[name] = folder_of(image.digest);
      out.push_back(image);
      out.back().name = name;
    }
  }
  TRY(write_index(index, names));
  return out;
}

void prune_images(const std::vector<std::string>& indexes) {
  std::error_code error;
  if (!fs::exists(kImageStore, error)) return;
  auto lock = lock_store();
  if (!lock) return;
  std::set<std::string> live;
  for (const auto& path : indexes) {
    auto index = read_image_index(path);
    if (!index) return;  // what it names cannot be told: everything stays
    for (const auto& [name, folder] : *index) live.insert(folder);
  }
  for (const auto& entry : fs::directory_iterator(kImageStore, error)) {
    const std::string name = entry.path().filename();
    if (name != ".lock" && !live.contains(name)) fs::remove_all(entry.path(), error);
  }
  if (!indexes.empty()) return;  // nodes of those labs look into this very folder
  fs::remove(std::string(kImageStore) + "/.lock", error);
  ::rmdir(kImageStore);
  ::rmdir(fs::path(kImageStore).parent_path().c_str());
}

Result<std::optional<NodeImage>> find_image(const std::string& image, const std::string& index,
                                            const std::string& store) {
  const auto names = TRY(read_image_index(index));
  const auto reference = full_reference(image);
  if (!reference) return std::nullopt;  // no runtime could pull it; the stand-in runs
  const auto found = names.find(*reference);
  if (found == names.end() || found->second.find('/') != std::string::npos) return std::nullopt;
  const std::string folder = store + "/" + found->second;
  return NodeImage{.digest = "sha256:" + found->second.substr(std::min<size_t>(7, found->second.size())),
                   .root = folder + "/rootfs",
                   .config = TRY(parse_image_config(TRY(read_file(folder + "/config.json"))), "image {}", image)};
}

}  // namespace causeway::lab
