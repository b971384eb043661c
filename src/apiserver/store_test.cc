#include "apiserver/store.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "apiserver/data_dir.h"
#include "async/virtual_loop.h"

namespace causeway::apiserver {
namespace {

struct TempDir {
  TempDir() {
    char name[] = "/tmp/cw-store-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

Result<Index> no_index(std::string_view, const std::string&) { return Index{}; }

StoreOptions options_at(const std::string& path) { return {.path = path, .threads = 0, .index_of = no_index}; }

Event change(Store& store, std::string name, std::string value, bool deleted = false) {
  auto object = std::make_shared<Object>();
  object->resource = "things";
  object->key = {"ns", std::move(name)};
  object->revision = store.next_revision();
  object->json = std::move(value);
  const Key key = object->key;
  return {object, store.latest("things", key), deleted};
}

// Commits and waits; the error's text, or "".
std::string put(VirtualLoop& loop, Store& store, std::string name, std::string value, bool deleted = false) {
  Status result = fail(Errc::Internal, "never answered");
  Scope scope(loop);
  scope.spawn("put", [](Store& store, Event event, Status& result) -> Task<void> {
    result = co_await store.commit(std::move(event));
  }(store, change(store, std::move(name), std::move(value), deleted), result));
  loop.run_ready();
  return result ? "" : result.error().message();
}

std::string render(const Shelf& shelf) {
  std::string text;
  for (const auto& [key, object] : shelf.current())
    text += fmt::format("{}@{}={} ", key.name, object->revision, object->json);
  return text;
}
std::string render(const std::vector<ObjectPtr>& objects) {
  std::string text;
  for (const ObjectPtr& object : objects)
    text += fmt::format("{}@{}={} ", object->key.name, object->revision, object->json);
  return text;
}

TEST_CASE("a store that is opened again has the same objects, history and revision") {
  TempDir dir;
  VirtualLoop loop;
  {
    auto store = *Store::open(loop, options_at(dir.path + "/s"));
    CHECK(put(loop, *store, "a", "1") == "");
    CHECK(put(loop, *store, "b", "1") == "");
    CHECK(put(loop, *store, "a", "2") == "");
    CHECK(put(loop, *store, "b", "1", true) == "");
  }
  auto store = *Store::open(loop, options_at(dir.path + "/s"));
  CHECK(store->revision() == 5);
  CHECK(render(store->shelf("things")) == "a@4=2 ");
  CHECK(render(store->shelf("things").at(3)) == "a@2=1 b@3=1 ");
  CHECK(render(store->shelf("things").at(4)) == "a@4=2 b@3=1 ");
  const Event* last = store->shelf("things").event(store->shelf("things").end_position() - 1);
  CHECK((last->deleted && last->previous->revision == 3));
}

TEST_CASE("a snapshot of the past is every state that the objects had") {
  VirtualLoop loop;
  auto store = *Store::open(loop, options_at(":memory:"));
  std::map<Revision, std::string> then;
  std::srand(7);
  for (int i = 0; i < 200; ++i) {
    const std::string name(1, static_cast<char>('a' + std::rand() % 6));
    const bool exists = store->exists("things", {"ns", name});
    REQUIRE(put(loop, *store, name, std::to_string(i), exists && std::rand() % 3 == 0) == "");
    then[store->revision()] = render(store->shelf("things"));
  }
  for (const auto& [revision, objects] : then) CHECK(render(store->shelf("things").at(revision)) == objects);
}

TEST_CASE("compaction forgets history, keeps what exists, and holds over a restart") {
  TempDir dir;
  VirtualLoop loop;
  StoreOptions options = options_at(dir.path + "/s");
  options.retention = {.at_least = 3, .age = 10min};
  {
    auto store = *Store::open(loop, options);
    for (int i = 0; i < 10; ++i) put(loop, *store, i % 2 ? "a" : "b", std::to_string(i));
    loop.advance(9min);
    CHECK(store->compacted() == 0);
    loop.advance(2min);
    CHECK(store->compacted() == 8);
    CHECK(store->shelf("things").at(9).size() == 2);
    CHECK(put(loop, *store, "a", "late", true) == "");
  }
  auto store = *Store::open(loop, options);
  CHECK(store->compacted() == 8);
  CHECK(store->revision() == 12);
  CHECK(render(store->shelf("things")) == "b@10=8 ");
  CHECK(render(store->shelf("things").at(9)) == "a@9=7 b@8=6 ");
}

TEST_CASE("a revision is not used again after the newest objects were deleted and forgotten") {
  TempDir dir;
  VirtualLoop loop;
  StoreOptions options = options_at(dir.path + "/s");
  options.retention = {.at_least = 0, .age = 1min};
  {
    auto store = *Store::open(loop, options);
    put(loop, *store, "a", "1");
    put(loop, *store, "a", "1", true);
    loop.advance(5min);
    CHECK(store->compacted() == 3);
  }
  auto store = *Store::open(loop, options);
  CHECK(store->revision() == 3);
  CHECK(put(loop, *store, "a", "2") == "");
  CHECK(render(store->shelf("things")) == "a@4=2 ");
}

TEST_CASE("a data directory serves one server, and tells who has it") {
  TempDir dir;
  auto first = DataDir::open(dir.path + "/x/y");
  REQUIRE(first);
  auto second = DataDir::open(dir.path + "/x/y");
  REQUIRE(!second);
  CHECK(second.error().message() ==
        fmt::format("another API server (pid {}) uses the data directory {}/x/y: end it, or choose "
                    "another with --data",
                    ::getpid(), dir.path));
}

TEST_CASE("a certificate is issued again when a name is missing, users keep their tokens") {
  TempDir dir;
  auto data = *DataDir::open(dir.path);
  const WallTime now = std::chrono::system_clock::now();
  auto first = *data.credentials({.dns = {"localhost"}, .addresses = {*Ip::parse("127.0.0.1")}}, {"admin"}, now);
  auto again = *data.credentials({.dns = {"localhost"}, .addresses = {}}, {"admin", "agent"}, now);
  auto other = *data.credentials({.dns = {"localhost", "api"}, .addresses = {}}, {"admin"}, now);
  CHECK(first.server.certificate_pem == again.server.certificate_pem);
  CHECK(first.ca_pem == other.ca_pem);
  CHECK(first.server.certificate_pem != other.server.certificate_pem);
  REQUIRE(again.users.size() == 2);
  CHECK(first.users[0].token == again.users[0].token);
  CHECK(again.users[0].token != again.users[1].token);
  CHECK((std::filesystem::status(dir.path + "/users.json").permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

// The child's life: writes as fast as it can and prints "name revision" for each write that was acknowledged.
[[noreturn]] void write_until_killed(const std::string& path, int ack_fd, int life) {
  auto loop = make_loop();
  StoreOptions options = options_at(path);
  options.threads = 1;
  options.retention = {.at_least = 20, .age = 0s, .at_most = 100};  // compaction is under the knife too
  auto store = Store::open(*loop, options);
  if (!store) {
    std::fprintf(stderr, "life %d: %s\n", life, store.error().message().c_str());
    ::_exit(3);
  }
  Scope scope(*loop);
  for (int writer = 0; writer < 8; ++writer) {
    scope.spawn("writer", [](Store& store, int ack_fd, std::string name) -> Task<Status> {
      for (int i = 0;; ++i) {
        Event event = change(store, name, std::string(200, 'x'), i % 5 == 4);
        const Revision revision = event.object->revision;
        CO_TRY(co_await store.commit(std::move(event)));
        const std::string line = fmt::format("{} {} {}\n", name, revision, i % 5 == 4 ? "gone" : "there");
        if (::write(ack_fd, line.data(), line.size()) < 0) ::_exit(0);
      }
    }(**store, ack_fd, fmt::format("w{}", writer)));
  }
  loop->run();
  ::_exit(0);
}

TEST_CASE("killed at any moment, the store loses no acknowledged write and uses no revision twice") {
  TempDir dir;
  const std::string path = dir.path + "/s";
  std::map<std::string, std::pair<Revision, bool>> acknowledged;
  Revision highest = 0;
  std::srand(11);
  for (int life = 0; life < 20; ++life) {
    int pipe_fds[2];
    REQUIRE(::pipe(pipe_fds) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe_fds[0]);
      write_until_killed(path, pipe_fds[1], life);
    }
    ::close(pipe_fds[1]);
    std::FILE* acks = ::fdopen(pipe_fds[0], "r");
    // Read some acknowledgements, then strike; what is in the pipe counts too.
    const int strike_after = 1 + std::rand() % 300;
    char name[16], state[16];
    long long revision = 0;
    Revision first = 0;
    for (int count = 0; std::fscanf(acks, "%15s %lld %15s", name, &revision, state) == 3; ++count) {
      if (first == 0) first = revision;
      acknowledged[name] = {revision, std::string_view(state) == "there"};
      highest = std::max<Revision>(highest, revision);
      if (count == strike_after) ::kill(child, SIGKILL);
    }
    std::fclose(acks);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));

    VirtualLoop loop;
    auto store = Store::open(loop, options_at(path));
    REQUIRE(store);
    CHECK((*store)->revision() >= highest);
    for (const auto& [name, last] : acknowledged) {
      const ObjectPtr object = (*store)->shelf("things").find({"ns", name});
      // Newer than the last acknowledged one is possible: it was stored, and its acknowledgement died.
      if (object)
        CHECK(object->revision >= last.first);
      else
        CHECK((!last.second || (*store)->revision() > last.first));
    }
    highest = (*store)->revision();
  }
}

}  // namespace
}  // namespace causeway::apiserver
