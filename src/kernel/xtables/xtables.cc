#include "kernel/xtables/xtables.h"

#include <algorithm>

#include "kernel/xtables/program.h"
#include "kernel/xtables/save.h"

namespace causeway::xtables {
namespace {

// Another program may hold the lock of the legacy variant, or change the nft variant's tables meanwhile.
constexpr const char* kLockSeconds = "10";

// "iptables", "iptables-nft", "iptables-legacy" -> "ip6tables-…".
std::string program(Family family, const std::string& variant, const char* what) {
  return fmt::format("{}{}-{}", family == Family::V4 ? "iptables" : "ip6tables", variant, what);
}

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text.substr(0, 600);
}

// Where a variant ("", "-nft", "-legacy") holds what kubelet made for others to see which one it uses.
bool has_hint(const std::string& variant) {
  const auto saved = run({program(Family::V4, variant, "save"), "-t", "mangle"});
  return saved && saved->code == 0 &&
         (saved->out.contains(":KUBE-IPTABLES-HINT ") || saved->out.contains(":KUBE-KUBELET-CANARY "));
}

class Programs final : public Xtables {
 public:
  Programs(std::string variant, std::string version) : variant_(std::move(variant)), version_(std::move(version)) {}

  Result<Table> save(Family family, const std::string& table) override {
    const std::string name = program(family, variant_, "save");
    const auto ran = TRY(run({name, "-t", table}));
    if (ran.code) return fail(Errc::Io, "{} -t {} failed: {}", name, table, one_line(ran.err));
    auto tables = TRY(parse_save(ran.out), "{} -t {}", name, table);
    return std::move(tables[table]);
  }

  Status restore(Family family, const std::string& text) override {
    const std::string name = program(family, variant_, "restore");
    const auto ran = TRY(run({name, "--noflush", "-w", kLockSeconds}, text));
    if (ran.code == 0) return ok();
    return fail(Errc::Io, "{} failed: {}", name, one_line(ran.err));
  }

  const std::string& version() const override { return version_; }

 private:
  std::string variant_, version_;
};

}  // namespace

Result<std::unique_ptr<Xtables>> open_xtables() {
  std::string variant;
  for (const char* each : {"-nft", "-legacy"})
    if (variant.empty() && has_hint(each)) variant = each;
  std::string version;
  for (const Family family : {Family::V4, Family::V6}) {
    const std::string name = program(family, variant, "restore");
    const auto told = run({name, "--version"});
    if (!told)
      return fail(Errc::Unsupported, "{}: install the package iptables, or use another backend of Services",
                  told.error().message());
    if (family == Family::V4)
      version = one_line(told->out.starts_with("iptables-restore") ? told->out.substr(17) : told->out);
    // That it works is seen by reading: as an unprivileged user, or without the kernel's part, it does not.
    const std::string save = program(family, variant, "save");
    const auto read = TRY(run({save, "-t", "nat"}));
    if (read.code) return fail(Errc::Unsupported, "{} -t nat does not work here: {}", save, one_line(read.err));
  }
  return std::make_unique<Programs>(variant, "iptables " + version);
}

}  // namespace causeway::xtables
